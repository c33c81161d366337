"""The personas and replicas of this machine as the API shows them: stored in the command line's own files.

Comes in: documents of clients and the folders of `cvi.paths`. Goes out: `StoredPersona`, `StoredReplica`,
their JSON and their thumbnails. May import persona, face and endpoints; knows nothing of conversations. Start
with `persona_store.py`.
"""
