"""Sound as numbers: `block` has its form (mono int16 and a time), the rest computes with it.

`resample` changes rates, `level` finds where speech ends, `mel` makes the features of speech networks.
Imports only the ground. Files are read and written in `cvi.media`. Start reading at `block.AudioBlock`.
"""
