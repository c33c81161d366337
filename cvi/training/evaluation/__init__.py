"""How good a replica is, measured on seconds it was not trained on.

In: a replica's folder, the footage, the requested mouths. Out: an `Evaluation` (figures by mode and measure,
pictures) and its HTML report; also the calibration of the jaw. May import the other stages and the live
renderer, whose pictures are measured. Start reading at `held_out`.
"""
