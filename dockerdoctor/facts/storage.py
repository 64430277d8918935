"""Filesystems behind the data root."""
