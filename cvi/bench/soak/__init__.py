"""A long conversation watched from outside its process: does anything grow, drift or fall behind?

In: `SoakOptions` (what the caller says, for how long). Out: a run with series over time (memory, threads,
files, processor, late frames, sync, answers) and `judge_series`, a verdict for each.
Imports the probe and what a conversation is built of. Start at `watch.py`; the child process is
`soaked_process.py`.
"""
