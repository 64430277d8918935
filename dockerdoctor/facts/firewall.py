"""Netfilter as it is: iptables in both backends, nftables base chains, and the counters that move."""
