"""Live conversations, each in a process of its own and watched from here.

Comes in: a `RoomOrder`, participants' offers, events. Goes out: messages to the worker; events, transcripts
and webhooks into the store. Start with `rooms.py` (all of them), then `room.py` (one).
"""
