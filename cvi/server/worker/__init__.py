"""The process of one conversation, and what runs in it: `python -m cvi.server.worker`."""
