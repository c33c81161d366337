"""One layer at a time: turn-taking on labelled recordings, and the speed and exactness of each engine.

In: options of `cvi bench turns|barge-in|stt|llm|tts|face|lips`. Out: a run's folder and a table.
`measurement` holds what all share (which engines, kinds of figures, the table); `simulation` runs the real
conversation on a recording in simulated time; each other module measures one thing, and its `measure_...`
function is the command. Imports the layers' Protocols, `cvi.engines`, `cvi.conversation` and `cvi.testing`.
Start reading in `tts`.
"""
