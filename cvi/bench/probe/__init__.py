"""Measures a conversation from outside: records its sound and mouth, and reads latencies from the recording.

In: what passes between a conversation and its transport (`Tap`), and the labels of the recorded callers.
Out: `Evidence` (blocks of sound, small pictures of the mouth, each with the time it was handed over) and
`measure`'s records of turns, interruptions, gaps and sync. Reads no journal and no label of the program.
Imports audio, transport and face protocols; of the bench only `recordings` and `run`.
Start at `tap.py`, then `session_measurement.py`.
"""
