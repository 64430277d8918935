"""Every place that sets a proxy, and what each proxy answers."""
