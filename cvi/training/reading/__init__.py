"""What a person reads for their replica: texts in several languages, and what of a language they cover."""
