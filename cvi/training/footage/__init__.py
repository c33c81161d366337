"""Reading a film of a person and turning it into what training needs.

In: a film file. Out: `Footage` (frames and sound, upright, at a fixed rate), `FaceTrack` (478 points in every
frame) and `PreparedFootage` (crops of the lower face, mouth coefficients, training and held-out frames).
May import `cvi.media`, `cvi.face.neural.hidden`. Start reading at `reader`, `tracking`, `preparation`.
"""
