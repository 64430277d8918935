"""Redis, for every container that wants one."""
