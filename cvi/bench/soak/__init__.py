"""A long conversation watched: does anything grow, drift or fall behind?

In: `SoakOptions` (what the caller says, for how long). Out: a run with series over time (memory, threads,
files, processor, late frames, sync, answers), which `cvi.bench.statistics.judge_series` judges. Imports the
probe and the measured session. Start at `watch.py`; `spool.py` keeps the evidence on disk.
"""
