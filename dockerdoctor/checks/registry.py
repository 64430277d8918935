"""Registries and mirrors, as the daemon reaches them."""
