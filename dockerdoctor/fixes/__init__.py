"""Fixes: a pure plan, and one transaction that applies it or puts everything back."""
