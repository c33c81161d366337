"""Recorded callers for measuring: recipes, and the labelled sound made of them.

In: a recipe (YAML: who says what, in which voice and room). Out: `CallerBlock`s, one conversation each, with
the exact times of every word, pause and end; kept in `$CVI_HOME/cache`.
Imports audio, transport scenarios and the tts engines. Start at `recipe.py`, then `blocks.py`.
"""
