"""Measuring knowledge: what is found, how fast, and what a model makes of it.

In: question sets (`graded`, and `development`, on which thresholds were fitted). Out: a run.
Start at `measure`; `retrieval` asks the index, `grounded` a language model.
"""
