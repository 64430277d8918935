"""Proxies: of the shell, the client, the daemon, and of containers; compared, and each tried from where it is used."""
