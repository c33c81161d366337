"""Measures: latency as heard and seen, turn-taking, engines, long runs, other systems; reports, compares.

In: personas, recorded callers, labelled recordings. Out: a folder a run with `run.json` (`run.py`), tables
and a page. `probe` measures from outside, `remote_peer` is the far end of a call, `layers` measures one
layer at a time, `soak` watches a long conversation, `report` draws. Imports everything but the command line
and the server; nothing but the command line imports it. Start at `run.py`, then `latency.py`.
"""
