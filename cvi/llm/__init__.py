"""Language models: one Protocol in `base`, one file an engine."""
