"""Commands that make the doctor at home on a host; they examine nothing."""
