"""What is played to the system: recorded callers made of recipes, and labelled recordings of people.

In: a recipe (YAML: who says what, in which voice and room), or a folder of recordings with labels. Out:
`CallerBlock`s with the exact times of every word, pause and end, or `Recordings`. Imports audio, transport
scenarios and the tts engines. Start reading in `recipe`, then `caller_blocks`; in `labelled_recordings`, then
`folders`.
"""
