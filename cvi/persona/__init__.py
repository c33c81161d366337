"""Who it is: the schema of a persona, its loading, and what is said when a file is wrong."""
