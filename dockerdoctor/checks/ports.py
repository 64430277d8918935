"""Published ports: who holds them, who listens behind them, and whether a real one can be reached."""
