"""Redis servers and the containers that want one."""
