"""Name resolution in containers and on the host."""
