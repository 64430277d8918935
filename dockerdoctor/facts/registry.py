"""What registries and mirrors answer."""
