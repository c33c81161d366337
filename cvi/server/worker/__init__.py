"""The process of one conversation: `python -m cvi.server.worker`.

Comes in: `StartSession` and further messages of the server on standard input, a participant by WebRTC. Goes
out: messages on standard output, events over the data channel, a journal. The server imports of it only
`messages`, `commands` and `interactions`. Start with `session.py`.
"""
