"""What every voice activity engine must do."""

from __future__ import annotations

import numpy as np

from cvi.audio.block import Pcm
from cvi.turns.base import VAD_HOP_SAMPLES, VadEngine


def probabilities(engine: VadEngine, pcm: Pcm) -> list[float]:
    """One figure for each whole hop of 16 kHz int16."""
    hops = len(pcm) // VAD_HOP_SAMPLES
    return [engine.probability(hop) for hop in pcm[: hops * VAD_HOP_SAMPLES].reshape(hops, -1)]


def check_vad(engine: VadEngine, speech: Pcm) -> None:
    """Speech (some seconds of it) is told from silence and noise, state is kept, `reset` forgets it.

    Raises AssertionError.
    """
    rng = np.random.default_rng(7)
    noise = rng.normal(0, 600, 32_000).astype(np.int16)
    assert engine.name
    engine.reset()
    silent = probabilities(engine, np.zeros(32_000, np.int16))
    engine.reset()
    noisy = probabilities(engine, noise)
    engine.reset()
    spoken = probabilities(engine, speech)
    for found in (silent, noisy, spoken):
        assert all(0.0 <= p <= 1.0 for p in found)
    assert max(silent) < 0.3, "digital silence was taken for speech"
    assert float(np.mean(noisy)) < 0.3, "noise was taken for speech"
    assert float(np.mean([p > 0.5 for p in spoken])) > 0.5, "speech was not heard"

    assert probabilities(engine, speech) != spoken, "no state is kept from hop to hop"
    engine.reset()
    assert probabilities(engine, speech) == spoken, "reset does not forget"
