"""The server: conversations for other programs, by REST, room pages, live events and webhooks.

Comes in: HTTP requests under `/v2` (the wire contract) and `/c` (rooms). Goes out: one process for each
conversation (`worker`), jobs (`jobs`), rows in SQLite (`store`), files of personas and replicas (`catalog`).
Only the command line imports it; it imports neither the command line nor the bench. Start with `app.py`, then
`services.py`; a request for a conversation goes `api/creation.py`, `rooms/rooms.py`, `rooms/room.py`.
"""
