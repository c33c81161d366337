"""Labelled recordings of people, on which turn-taking and speech recognition are measured.

In: a folder of recordings with labels (`folders.read_recordings`), or a recipe of synthetic callers
(`callers.read_callers`). Out: `labelled_recordings.Recordings`. Imports `cvi.audio` and `cvi.bench.callers`.
Start reading in `labelled_recordings`.
"""
