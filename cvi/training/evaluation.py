"""How good a replica is, measured on seconds it never learned from.

Two modes: *pasted*, the lower face drawn anew into the held-out frames themselves, once with the mouth the
person really made and once with the mouth their sound asks for; and *idle*, the replica as it is used, its
clips of speech speaking the held-out sound. What the lips do is measured by tracking the result's own pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.training.footage import Footage
from cvi.training.landmarks import FaceTracker
from cvi.training.measuring import Measuring, Sample
from cvi.training.prepared import Prepared

LEAST_FRAMES = 25


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for in each frame of the footage: `by_ear`, of its bare sound, and `by_script`, of the
    phones of what was read, where that is known; `closures_s` the middles of the P, B and M in it."""

    by_ear: Sequence[Controls]
    by_script: Sequence[Controls] | None = None
    closures_s: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`figures`: mode -> measure -> value; `frames` held-out frames measured; `samples` to look at."""

    figures: dict[str, dict[str, float]]
    frames: int
    samples: tuple[Sample, ...]


def evaluate(
    folder: Path,
    prepared: Prepared,
    footage: Footage,
    asked: Asked,
    tracker: Callable[[], FaceTracker],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Evaluation:
    """`tracker` makes a new one for each sequence.

    Raises UsageError where fewer than `LEAST_FRAMES` frames were held out.
    """
    chosen = np.flatnonzero(prepared.test)
    if len(chosen) < LEAST_FRAMES:
        raise UsageError(
            f"Only {len(chosen)} frames were held out; {LEAST_FRAMES} are the least to measure.",
            "Train with a larger --hold-out.",
        )
    modes = 4 if asked.by_script is None else 5
    measuring = Measuring(folder, prepared, footage, asked.by_ear, chosen, tracker, progress, modes)
    truth = measuring.track(measuring.true_frames())
    pasted = measuring.pasted("pasted", prepared.mouth[chosen], truth)
    from_sound = measuring.pasted("from sound", measuring.mouths(asked.by_ear), truth)
    by_script = {}
    if asked.by_script is not None:
        by_script = {"by script": measuring.pasted("by script", measuring.mouths(asked.by_script), truth)}
    idle = measuring.idle(truth)
    figures = {
        "pasted": pasted,
        "from sound": from_sound,
        **by_script,
        "idle": idle,
        "swap": measuring.swapped(truth),
        "rest": measuring.rest(),
    }
    near = (round(at * prepared.fps - 0.5) for at in asked.closures_s)
    spots = [spot for spot in near if prepared.test[_in(spot, prepared)]]
    if spots:
        for mode in ("truth", "pasted", "from sound", *by_script, "idle"):
            figures.setdefault(mode, {})["closure_share"] = measuring.closure(mode, spots)
            figures[mode]["closures"] = float(len(spots))
    return Evaluation(figures, len(chosen), tuple(measuring.samples()))


def _in(index: int, prepared: Prepared) -> int:
    return min(max(index, 0), len(prepared) - 1)
