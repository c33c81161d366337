"""Measuring knowledge: what is found, how fast, and what a model makes of it.

In: question sets (`graded`, and `development`, on which thresholds were fitted) or a BEIR folder. Out: a run.
Start at `retrieval`; `grounded` asks a language model, `speed` times large sets, `beir` reads public ones.
"""
