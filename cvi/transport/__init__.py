"""How a conversation reaches its participant: file, local devices; one Protocol."""
