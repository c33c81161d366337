"""Speech to text. In: the sound of a turn, block by block. Out: its text, partial and final.

`base` has the Protocol, every other module is one engine (`sphinx_decoder` belongs to pocketsphinx), found by
its entry point `stt.NAME`. An engine imports its Protocol, `audio` and the ground, never another engine.
Start reading at `base.SttStream`; a new engine passes `cvi.testing.contracts.stt`.
"""
