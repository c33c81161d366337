"""One training run, from how long it may take to a network; with a picture of how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cvi.files import write_bytes
from cvi.training.checkpoint import peek
from cvi.training.device import Device
from cvi.training.prepared import Prepared
from cvi.training.tiers import Tier

if TYPE_CHECKING:
    from cvi.training.network import Network
    from cvi.training.training import Plan, Reached

PREVIEW = "preview.png"
_PREVIEW_EVERY = 50
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Length:
    """`steps`, or as many as fit into `minutes` at the pace measured before the first."""

    steps: int
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class Trained:
    """`took_s` seconds of computing in all runs."""

    network: Network
    steps: int
    took_s: float


def train_network(
    folder: Path,
    prepared: Prepared,
    tier: Tier,
    device: Device,
    length: Length,
    seed: int,
    progress: Callable[[int, int, str], None] = lambda done, of, note: None,
    stop: Callable[[], bool] = lambda: False,
) -> Trained | None:
    """Train, or go on with the run that `folder` holds; None where `stop` ended it first.

    A preview, truth above and drawing below, is kept in the folder. Raises as `Trainer` does.
    """
    from cvi.training.training import Trainer

    plan = _plan(folder, prepared, tier, device, length, seed)
    trainer = Trainer(prepared, plan, folder, device)
    shown = np.flatnonzero(prepared.test if prepared.test.any() else prepared.train)
    looked_at = [int(shown[i]) for i in np.linspace(0, len(shown) - 1, _SHOWN).astype(int)]

    def reached(state: Reached) -> None:
        if state.step % _PREVIEW_EVERY == 0 or state.step == state.total:
            _preview(folder / PREVIEW, prepared.crops[looked_at], trainer.draw(looked_at))
        left = f"{state.left_s / 60:.0f} min left" if state.left_s > 90 else f"{state.left_s:.0f} s left"
        progress(state.step, state.total, f"loss {state.loss:.4f}, {left}")

    if not trainer.run(reached, stop):
        return None
    return Trained(trainer.network, plan.steps, trainer.took_s)


def _plan(
    folder: Path, prepared: Prepared, tier: Tier, device: Device, length: Length, seed: int
) -> Plan:
    from cvi.training.training import Plan, seconds_per_step

    size = tier.network(prepared.side, prepared.mouth.shape[1])

    def of(steps: int) -> Plan:
        return Plan(size, steps, batch=tier.batch, seed=seed)

    if length.minutes is None:
        return of(length.steps)
    before = peek(folder)
    if before is not None and before.plan == of(before.total).text():
        # The number of steps was settled when the run began.
        return of(before.total)
    pace_s = seconds_per_step(prepared, of(length.steps), folder, device)
    return of(max(1, round(length.minutes * 60 / pace_s)))


def _preview(path: Path, truth: npt.NDArray[np.uint8], drawn: npt.NDArray[np.uint8]) -> None:
    import cv2

    sheet = np.concatenate([np.concatenate(list(truth), 1), np.concatenate(list(drawn), 1)], 0)
    done, data = cv2.imencode(".png", sheet[..., ::-1])
    assert done
    write_bytes(path, data.tobytes())
