"""The far end of a call: a participant in a process of its own, with a voice, an ear and an eye."""
