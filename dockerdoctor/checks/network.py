"""What carries packets from containers to the world and back: forwarding, firewall, addresses, MTU."""
