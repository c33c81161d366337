"""Whose turn it is: voice activity, the floor, barge-in and backchannels."""
