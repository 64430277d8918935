"""Where images and containers are kept: space, inodes, health."""
