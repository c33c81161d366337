"""The training loop. The same footage, plan and seed give the same network, stopped and resumed or not.

TODO One training run, from how long it may take to a network; with a picture of how far it is."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cvi.errors import CviError
from cvi.face.neural.compose import hidden_mask
from cvi.files import write_bytes
from cvi.training.footage.preparation import PreparedFootage
from cvi.training.model.augmentation import MouthSwaps
from cvi.training.model.checkpoint import (
    PREVIEW,
    TrainingState,
    load_checkpoint,
    peek_checkpoint,
    save_checkpoint,
)
from cvi.training.model.config import Device, QualityTier
from cvi.training.model.network import InpaintingNetwork, NetworkSize, loss, loss_weights, masked_input

_SAVE_EVERY_S = 20.0
_TIMED_STEPS = 6
_WARM_UP = 100
_CLIP = 1.0


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train. `steps` in all; `batch` pictures a step, of which `borrowed` have another frame's mouth
    (`cvi.training.model.augmentation`); `rate` the highest learning rate; `noise` on the mouth, in
    deviations, so that nearby mouths look alike."""

    size: NetworkSize
    steps: int
    batch: int = 8
    borrowed: int = 1
    rate: float = 2e-3
    noise: float = 0.05
    seed: int = 0

    def text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Told after each step: `loss` smoothed over some steps, `left_s` at the present pace."""

    step: int
    total: int
    loss: float
    left_s: float


class Trainer:
    """One run over one prepared footage; its state lies in `folder`. One thread."""

    def __init__(self, prepared: PreparedFootage, plan: TrainingConfig, folder: Path, device: Device) -> None:
        """Takes up the run that `folder` holds if it has the same plan; a run of another plan is begun anew.

        Raises UsageError for a checkpoint that cannot be read.
        """
        self._prepared, self._plan, self._folder, self._device = prepared, plan, folder, device
        torch.manual_seed(plan.seed)
        self.network = InpaintingNetwork(plan.size).to(device.where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._optimizer = torch.optim.AdamW(self.network.parameters(), plan.rate, weight_decay=1e-4)
        self.step, self._took_s = 0, 0.0
        lips = np.zeros((prepared.side, prepared.side), np.float32)
        lips[prepared.lip_box] = 1.0
        self._lips = torch.from_numpy(lips)[None, None].to(device.where)
        self._frames = np.flatnonzero(prepared.train)
        self._transplants = MouthSwaps(prepared)
        self._resume()

    @property
    def done(self) -> bool:
        return self.step >= self._plan.steps

    def run(
        self,
        progress: Callable[[TrainingProgress], None] = lambda reached: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train until the plan's steps are done, or `stop` (asked after each) says so; returns whether all
        are done. The state is saved every 20 s and at the end, however it ends.

        Raises CviError where the disk refuses or the numbers run away.
        """
        began, saved = time.monotonic(), time.monotonic()
        first, smooth = self.step, math.nan
        self.network.train()
        try:
            while not self.done and not stop():
                value = self._advance()
                smooth = value if math.isnan(smooth) else 0.95 * smooth + 0.05 * value
                now = time.monotonic()
                pace = (now - began) / (self.step - first)
                progress(
                    TrainingProgress(
                        self.step, self._plan.steps, smooth, pace * (self._plan.steps - self.step)
                    )
                )
                if now - saved > _SAVE_EVERY_S:
                    self._save(now - began)
                    saved = now
        finally:
            if self.step > first:
                self._save(time.monotonic() - began)
            self._took_s += time.monotonic() - began
        return self.done

    @property
    def took_s(self) -> float:
        """Seconds of computing in all runs."""
        return self._took_s

    def draw(self, frames: list[int], mouths: np.ndarray | None = None) -> np.ndarray:
        """What the network draws for frames by number: uint8 (b, side, side, 3). `mouths` (b, k) in place of
        the frames' own."""
        pictures = self._pictures(np.asarray(frames))
        told = self._prepared.mouth[frames] if mouths is None else mouths
        was = self.network.training
        self.network.eval()
        with torch.inference_mode():
            mouth = torch.from_numpy(told).to(self._device.where)
            drawn = self.network(masked_input(pictures, self._hidden(np.asarray(frames))), mouth)
        self.network.train(was)
        shown = (drawn.float().clamp(0, 1) * 255 + 0.5).byte().permute(0, 2, 3, 1).cpu().numpy()
        return np.asarray(shown, np.uint8)

    def _advance(self) -> float:
        """One step; everything random in it comes from the seed and the step's number."""
        plan = self._plan
        dice = np.random.default_rng((plan.seed, self.step))
        chosen = dice.choice(self._frames, plan.batch, replace=len(self._frames) < plan.batch)
        pictures, hidden = self._pictures(chosen), self._hidden(chosen)
        truth, weight, mouths = self._wanted(chosen, pictures, hidden, dice)
        noise = plan.noise * dice.standard_normal((plan.batch, plan.size.mouth))
        mouth = torch.from_numpy((self._prepared.mouth[mouths] + noise).astype(np.float32))
        rate = plan.rate * min(1.0, (self.step + 1) / _WARM_UP)
        rate *= 0.5 * (1 + math.cos(math.pi * self.step / plan.steps)) + 0.01
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        seen = masked_input(pictures, hidden).contiguous(memory_format=torch.channels_last)
        half = self._device.half
        with torch.autocast(self._device.where.type, dtype=half, enabled=half is not None):
            drawn = self.network(seen, mouth.to(self._device.where))
        value = loss(drawn.float(), truth, weight)
        self._optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self._optimizer.step()
        self.step += 1
        result = float(value.detach())
        if not math.isfinite(result):
            raise CviError("Training ran away: the loss is no number.", "Give another --seed.")
        return result

    def _wanted(
        self, frames: np.ndarray, pictures: Tensor, hidden: Tensor, dice: np.random.Generator
    ) -> tuple[Tensor, Tensor, np.ndarray]:
        """What is to be drawn into the frames, what each pixel of it counts, and whose mouth it has."""
        truth, weight, mouths = pictures.clone(), loss_weights(hidden, self._lips), frames.copy()
        for place in range(self._plan.borrowed):
            frame = int(frames[place])
            mouths[place] = self._transplants.donor(frame, dice)
            if mouths[place] != frame:
                picture, belief = self._transplants.picture(frame, int(mouths[place]))
                truth[place] = torch.from_numpy(picture).permute(2, 0, 1).to(self._device.where) / 255
                weight[place] *= torch.from_numpy(belief).to(self._device.where)
        return truth, weight, mouths

    def _pictures(self, frames: np.ndarray) -> Tensor:
        crops = torch.from_numpy(np.ascontiguousarray(self._prepared.crops[frames]))
        return crops.to(self._device.where).permute(0, 3, 1, 2).float() / 255

    def _hidden(self, frames: np.ndarray) -> Tensor:
        side = self._prepared.side
        planes = np.stack([hidden_mask(self._prepared.reach[frame], side) for frame in frames])
        return torch.from_numpy(planes)[:, None].to(self._device.where)

    def _resume(self) -> None:
        state = load_checkpoint(self._folder, self.network, self._optimizer) if self._same_plan() else None
        if state is not None:
            self.step, self._took_s = state.step, state.took_s

    def _same_plan(self) -> bool:
        from cvi.training.model.checkpoint import peek_checkpoint

        state = peek_checkpoint(self._folder)
        return state is not None and state.plan == self._plan.text()

    def _save(self, ran_s: float) -> None:
        state = TrainingState(self.step, self._plan.steps, self._plan.text(), self._took_s + ran_s)
        save_checkpoint(self._folder, self.network, self._optimizer, state)


def seconds_per_step(prepared: PreparedFootage, plan: TrainingConfig, folder: Path, device: Device) -> float:
    """How long a step takes here, from a few that are thrown away."""
    trainer = Trainer(prepared, plan, folder / "nowhere", device)
    trainer._advance()
    began = time.monotonic()
    for _ in range(_TIMED_STEPS):
        trainer._advance()
    return (time.monotonic() - began) / _TIMED_STEPS


_PREVIEW_EVERY = 50
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class TrainingLength:
    """`steps`, or as many as fit into `minutes` at the pace measured before the first."""

    steps: int
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """`took_s` seconds of computing in all runs."""

    network: InpaintingNetwork
    steps: int
    took_s: float


def train_network(
    folder: Path,
    prepared: PreparedFootage,
    tier: QualityTier,
    device: Device,
    length: TrainingLength,
    seed: int,
    progress: Callable[[int, int, str], None] = lambda done, of, note: None,
    stop: Callable[[], bool] = lambda: False,
) -> TrainedNetwork | None:
    """Train, or go on with the run that `folder` holds; None where `stop` ended it first.

    A preview, truth above and drawing below, is kept in the folder. Raises as `Trainer` does.
    """
    plan = _plan(folder, prepared, tier, device, length, seed)
    trainer = Trainer(prepared, plan, folder, device)
    shown = np.flatnonzero(prepared.test if prepared.test.any() else prepared.train)
    looked_at = [int(shown[i]) for i in np.linspace(0, len(shown) - 1, _SHOWN).astype(int)]

    def reached(state: TrainingProgress) -> None:
        if state.step % _PREVIEW_EVERY == 0 or state.step == state.total:
            _preview(folder / PREVIEW, prepared.crops[looked_at], trainer.draw(looked_at))
        left = f"{state.left_s / 60:.0f} min left" if state.left_s > 90 else f"{state.left_s:.0f} s left"
        progress(state.step, state.total, f"loss {state.loss:.4f}, {left}")

    if not trainer.run(reached, stop):
        return None
    return TrainedNetwork(trainer.network, plan.steps, trainer.took_s)


def _plan(
    folder: Path,
    prepared: PreparedFootage,
    tier: QualityTier,
    device: Device,
    length: TrainingLength,
    seed: int,
) -> TrainingConfig:
    size = tier.network(prepared.side, prepared.mouth.shape[1])

    def of(steps: int) -> TrainingConfig:
        return TrainingConfig(size, steps, batch=tier.batch, seed=seed)

    if length.minutes is None:
        return of(length.steps)
    before = peek_checkpoint(folder)
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
