"""Stock characters: parameters -> a modelled head -> the images and curves that the engine `sculpted` blends.

Comes in: `character.yaml` in a replica's folder, or a seed (`generated`). Goes out: `atlas.npz`. Start
reading at `baker`, then `subject` (one character before the camera), `camera` and `scene`. Nothing live
imports this package: all but `generated` needs numba (the `train` extra).

A head is a signed-distance field in head units: x to the viewer's right, y up, z towards the camera; the chin
is near y = -1, the top of the skull near 1.05.
"""

PARAMETERS_FILE = "character.yaml"
