"""The training loop: the same footage, configuration and seed give the same network, stopped and resumed or
not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
from cvi.training.model.config import Device, QualityTier, TrainingConfig, TrainingLength
from cvi.training.model.network import InpaintingNetwork, loss_weights, masked_input, reconstruction_loss

_SAVE_EVERY_S = 20.0
_VALIDATE_EVERY, _VALIDATED_FRAMES = 50, 16
_PREVIEWED_FRAMES = 6
_TIMED_STEPS = 6
_WARM_UP_STEPS = 100
_MOST_GRADIENT_NORM = 1.0


def learning_rate(step: int, steps: int, highest: float) -> float:
    """The learning rate at `step` of `steps`: a linear warm-up times a cosine that ends at 1 % of
    `highest`."""
    warm_up = min(1.0, (step + 1) / _WARM_UP_STEPS)
    return highest * warm_up * (0.5 * (1 + math.cos(math.pi * step / steps)) + 0.01)


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """After a step: `loss` smoothed over some steps, `validation_loss` the last one measured (None before the
    first, or where nothing is held out), `left_s` seconds at the present pace."""

    step: int
    total: int
    loss: float
    validation_loss: float | None
    left_s: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one step: `masked` (b, 4, h, w) what the encoder sees, `mouth` (b, k), `truth` (b, 3, h, w)
    what is to be drawn, `weight` (b, 1, h, w) what each pixel counts."""

    masked: Tensor
    mouth: Tensor
    truth: Tensor
    weight: Tensor


class Trainer:
    """One run over one prepared footage; its state is kept in `folder`. Used by one thread."""

    def __init__(
        self, prepared: PreparedFootage, config: TrainingConfig, folder: Path, device: Device
    ) -> None:
        """Continues the run that `folder` holds if it has the same configuration, else starts a new one.

        Raises UsageError for a checkpoint that cannot be read.
        """
        self._prepared, self._config, self._folder, self._device = prepared, config, folder, device
        torch.manual_seed(config.seed)
        self.network = InpaintingNetwork(config.size).to(  # type: ignore[call-overload]
            device.torch_device, memory_format=torch.channels_last
        )
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), config.learning_rate, weight_decay=1e-4
        )
        lips = np.zeros((prepared.side, prepared.side), np.float32)
        lips[prepared.lip_box] = 1.0
        self._lips = torch.from_numpy(lips)[None, None].to(device.torch_device)
        self._frames, self._swaps = np.flatnonzero(prepared.train), MouthSwaps(prepared)
        self._validated = evenly(np.flatnonzero(prepared.test), _VALIDATED_FRAMES)
        self.step, self.took_s = 0, 0.0
        self.validation: list[tuple[int, float]] = []
        found = peek_checkpoint(folder)
        self.discarded = found is not None and found.config_key != config.key
        """Whether the folder holds a run of another configuration, which this one replaces."""
        if found is not None and not self.discarded:
            self._resume()

    @property
    def done(self) -> bool:
        """All steps of the configuration are done."""
        return self.step >= self._config.steps

    def run(
        self,
        progress: Callable[[TrainingProgress], None] = lambda reached: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Train until all steps are done, or until `stop` (asked before each step) says so; whether all are.

        The state is saved every 20 s and at the end, however it ends. Raises CviError where the disk refuses
        or the loss becomes infinite.
        """
        first, loss = self.step, math.nan
        began = saved = time.monotonic()
        took_before_s = self.took_s
        self.network.train()
        try:
            while not self.done and not stop():
                step_loss = self._optimize(self._training_batch())
                loss = step_loss if math.isnan(loss) else 0.95 * loss + 0.05 * step_loss
                self.step += 1
                if len(self._validated) and (self.step % _VALIDATE_EVERY == 0 or self.done):
                    self.validation.append((self.step, self.validation_loss()))
                now = time.monotonic()
                self.took_s = took_before_s + now - began
                left_s = (now - began) / (self.step - first) * (self._config.steps - self.step)
                latest = self.validation[-1][1] if self.validation else None
                progress(TrainingProgress(self.step, self._config.steps, loss, latest, left_s))
                if now - saved > _SAVE_EVERY_S:
                    self._save()
                    saved = now
        finally:
            if self.step > first:
                self._save()
        return self.done

    def _training_batch(self) -> Batch:
        """The batch of the present step: everything random in it comes from the seed and the step's
        number."""
        config, prepared, device = self._config, self._prepared, self._device.torch_device
        rng = np.random.default_rng((config.seed, self.step))
        frames = rng.choice(self._frames, config.batch, replace=len(self._frames) < config.batch)
        pictures, hidden = self._pictures(frames), self._hidden(frames)
        truth, weight, mouths = pictures.clone(), loss_weights(hidden, self._lips), frames.copy()
        for row, frame in enumerate(frames[: config.swapped].tolist()):
            mouths[row] = self._swaps.donor(frame, rng)
            if mouths[row] != frame:
                picture, share = self._swaps.picture(frame, int(mouths[row]))
                truth[row] = torch.from_numpy(picture).permute(2, 0, 1).to(device) / 255
                weight[row] *= torch.from_numpy(share).to(device)
        noise = config.noise * rng.standard_normal((config.batch, config.size.mouth))
        mouth = torch.from_numpy((prepared.mouth[mouths] + noise).astype(np.float32)).to(device)
        masked = masked_input(pictures, hidden).contiguous(memory_format=torch.channels_last)
        return Batch(masked, mouth, truth, weight)

    def _optimize(self, batch: Batch) -> float:
        """One step of the optimizer; the loss before it. Raises CviError where that is not finite."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self._config.steps, self._config.learning_rate)
        loss = reconstruction_loss(self._drawn(batch), batch.truth, batch.weight)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _MOST_GRADIENT_NORM)
        self._optimizer.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise CviError("Training diverged: the loss is not finite.", "Give another --seed.")
        return value

    def validation_loss(self) -> float:
        """The loss on up to 16 held-out frames with their own mouths. Changes nothing in the run: the network
        is in evaluation mode meanwhile, and no random number is drawn."""
        pictures, hidden = self._pictures(self._validated), self._hidden(self._validated)
        mouth = torch.from_numpy(self._prepared.mouth[self._validated]).to(self._device.torch_device)
        batch = Batch(masked_input(pictures, hidden), mouth, pictures, loss_weights(hidden, self._lips))
        self.network.eval()
        with torch.inference_mode():
            loss = reconstruction_loss(self._drawn(batch), batch.truth, batch.weight)
        self.network.train()
        return float(loss)

    def draw(self, frames: list[int], mouths: np.ndarray | None = None) -> np.ndarray:
        """What the network draws for frames by number: uint8 (b, side, side, 3). `mouths` (b, k) replace the
        frames' own."""
        index = np.asarray(frames)
        mouth = torch.from_numpy(self._prepared.mouth[index] if mouths is None else mouths)
        was_training = self.network.training
        self.network.eval()
        with torch.inference_mode():
            masked = masked_input(self._pictures(index), self._hidden(index))
            drawn = self.network(masked, mouth.to(self._device.torch_device))
        self.network.train(was_training)
        shown = (drawn.float().clamp(0, 1) * 255 + 0.5).byte().permute(0, 2, 3, 1).cpu().numpy()
        return np.asarray(shown, np.uint8)

    def _drawn(self, batch: Batch) -> Tensor:
        narrow = self._device.autocast
        with torch.autocast(self._device.torch_device.type, dtype=narrow, enabled=narrow is not None):
            drawn: Tensor = self.network(batch.masked, batch.mouth)
        return drawn.float()

    def _pictures(self, frames: np.ndarray) -> Tensor:
        crops = torch.from_numpy(np.ascontiguousarray(self._prepared.crops[frames]))
        return crops.to(self._device.torch_device).permute(0, 3, 1, 2).float() / 255

    def _hidden(self, frames: np.ndarray) -> Tensor:
        side = self._prepared.side
        planes = np.stack([hidden_mask(self._prepared.reach[frame], side) for frame in frames])
        return torch.from_numpy(planes)[:, None].to(self._device.torch_device)

    def _resume(self) -> None:
        state = load_checkpoint(self._folder, self.network, self._optimizer)
        if state is not None:
            self.step, self.took_s, self.validation = state.step, state.took_s, list(state.validation)

    def _save(self) -> None:
        state = TrainingState(
            self.step, self._config.steps, self._config.key, self.took_s, tuple(self.validation)
        )
        save_checkpoint(self._folder, self.network, self._optimizer, state)


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    """`took_s` seconds of computing in all runs; `validation` (step, loss) pairs, none where nothing was held
    out."""

    network: InpaintingNetwork
    steps: int
    took_s: float
    validation: tuple[tuple[int, float], ...]


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
    """Train, or continue the run that `folder` holds; None where `stop` ended it first.

    A preview, truth above and drawing below, is kept in the folder. Raises as `Trainer` does.
    """
    config = _config(folder, prepared, tier, device, length, seed)
    trainer = Trainer(prepared, config, folder, device)
    if trainer.discarded:
        progress(0, config.steps, "starting over: the checkpoint is of other settings or another version")
    held_out = prepared.test if prepared.test.any() else prepared.train
    previewed = evenly(np.flatnonzero(held_out), _PREVIEWED_FRAMES).tolist()

    def reached(state: TrainingProgress) -> None:
        if state.step % _VALIDATE_EVERY == 0 or state.step == state.total:
            _write_preview(folder / PREVIEW, prepared.crops[previewed], trainer.draw(previewed))
        left = f"{state.left_s / 60:.0f} min left" if state.left_s > 90 else f"{state.left_s:.0f} s left"
        held_out_loss = "" if state.validation_loss is None else f", held out {state.validation_loss:.4f}"
        progress(state.step, state.total, f"loss {state.loss:.4f}{held_out_loss}, {left}")

    if not trainer.run(reached, stop):
        return None
    return TrainedNetwork(trainer.network, config.steps, trainer.took_s, tuple(trainer.validation))


def _config(
    folder: Path,
    prepared: PreparedFootage,
    tier: QualityTier,
    device: Device,
    length: TrainingLength,
    seed: int,
) -> TrainingConfig:
    size = tier.network_size(prepared.side, prepared.mouth.shape[1])

    def of(steps: int) -> TrainingConfig:
        return TrainingConfig(size, steps, batch=tier.batch, seed=seed)

    if length.minutes is None:
        return of(length.steps)
    before = peek_checkpoint(folder)
    if before is not None and before.config_key == of(before.total).key:
        # The number of steps was settled when the run began.
        return of(before.total)
    pace_s = seconds_per_step(prepared, of(length.steps), folder, device)
    return of(max(1, round(length.minutes * 60 / pace_s)))


def seconds_per_step(
    prepared: PreparedFootage, config: TrainingConfig, folder: Path, device: Device
) -> float:
    """How long a step takes here, from a few that are thrown away."""
    trainer = Trainer(prepared, config, folder / "nowhere", device)
    began = 0.0
    for step in range(_TIMED_STEPS + 1):
        if step == 1:
            began = time.monotonic()
        trainer._optimize(trainer._training_batch())
        trainer.step += 1
    return (time.monotonic() - began) / _TIMED_STEPS


def evenly(frames: np.ndarray, count: int) -> np.ndarray:
    """`count` of `frames` at even distances, the first and the last among them; all where there are fewer."""
    if len(frames) <= count:
        return frames
    return np.asarray(frames[np.linspace(0, len(frames) - 1, count).astype(int)])


def _write_preview(path: Path, truth: np.ndarray, drawn: np.ndarray) -> None:
    import cv2

    sheet = np.concatenate([np.concatenate(list(truth), 1), np.concatenate(list(drawn), 1)], 0)
    written, data = cv2.imencode(".png", sheet[..., ::-1])
    assert written
    write_bytes(path, data.tobytes())
