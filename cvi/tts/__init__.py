"""Text to speech: one Protocol in `base`, one file an engine."""
