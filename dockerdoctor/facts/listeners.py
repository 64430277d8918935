"""Who listens on the host's ports and inside containers."""
