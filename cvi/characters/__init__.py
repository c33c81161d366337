"""The baker: a character's parameter file -> the images and curves the live renderer blends.

Everything here needs numba (the `train` extra) and is imported only by `python -m cvi.characters`.
The head is a signed-distance field in head units: x to the viewer's right, y up, z towards the camera;
the chin is near y = -1, the top of the skull near 1.05.
"""
