"""One module per area: the facts, frozen dataclasses, each with the one probe that fills it."""
