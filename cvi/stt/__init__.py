"""Speech to text: one Protocol in `base`, one file an engine."""
