"""The decorator of every compiled function, and the type of what they share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[np.float64]
Params = Any  # a record of `params.RECORD`; compiled code reads it by attribute

EMPTY, SKIN, EYE, TEETH, TONGUE, CLOTH, METAL, GLASSES, UNDERSHIRT = -1, 0, 1, 2, 3, 5, 6, 7, 8


def kernel(function: Function) -> Function:
    """Compile with numba: fast arithmetic, no GIL, cached on disk."""
    return cast(Function, numba.njit(fastmath=True, cache=True, nogil=True)(function))
