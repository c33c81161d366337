"""The loop: what joins one persona, one replica and one participant for one session."""
