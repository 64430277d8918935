"""The questions that are asked from inside a container."""
