"""A cut in sound that does not click."""

from __future__ import annotations

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm

CUT_FADE_SAMPLES = PLAYED_HZ // 200


def faded_from(pcm: Pcm, at: int) -> Pcm:
    """A copy that falls silent within 5 ms from sample `at`; before its beginning, all of it is silent."""
    if at < 0:
        return np.zeros_like(pcm)
    out = pcm.copy()
    fade = min(CUT_FADE_SAMPLES, len(out) - at)
    out[at : at + fade] = (out[at : at + fade] * np.linspace(1, 0, fade)).astype(np.int16)
    out[at + fade :] = 0
    return out
