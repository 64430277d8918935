"""The daemon's configuration: its syntax, its keys, its types, and whether the running daemon knows it."""
