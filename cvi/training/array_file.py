"""An array on disk, written row by row, not mapped: a full disk is told to who writes, where a mapped file
ends the process by a signal."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np


def begin_array(out: BinaryIO, shape: tuple[int, ...]) -> None:
    """The head of a .npy file of uint8 (shape), whose bytes follow in order."""
    head = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, head)
