"""Recordings on their way from this machine to where a client wants them."""
