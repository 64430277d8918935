"""The daemon's own log, read for the line that says why it did not start."""
