"""Find out why Docker on Linux misbehaves: the cause, the evidence, the fix, and the proof."""

__version__ = "0.1.0"
