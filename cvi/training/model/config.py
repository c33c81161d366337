"""What is trained and where: quality tiers, the configuration of a run, the device. Imports torch on
demand."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cvi.errors import MissingError, UsageError

if TYPE_CHECKING:
    import torch

LEVELS = 4
"""Resolutions of the network: 1/4, 1/8, 1/16 and 1/32 of the crop."""
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class NetworkSize:
    """`side` pixels of the crop, a multiple of 32; `channels` of each level; `mouth` coefficients in;
    `conditioning` values made of them for the FiLM layers."""

    side: int
    channels: tuple[int, int, int, int]
    mouth: int = 16
    conditioning: int = 96


@dataclass(frozen=True, slots=True)
class QualityTier:
    """What `--quality` chooses: `most_side` of the crop, pixels; `channels` of the network's levels; `steps`
    of training, each of `batch` pictures, where the request does not say how long.

    Small batches learn more in the same time: on one minute of footage, 160 pixels, 320 steps of 4 pictures
    gave 30.2 dB in the hidden region of held-out frames, 160 steps of 8 gave 29.0.
    """

    most_side: int
    channels: tuple[int, int, int, int]
    steps: int
    batch: int = 4

    def network_size(self, side: int, mouth: int) -> NetworkSize:
        """The network for a crop of `side` pixels and `mouth` coefficients."""
        return NetworkSize(side, self.channels, mouth)


TIERS = {
    "tiny": QualityTier(160, (40, 56, 80, 112), 10000),
    "standard": QualityTier(256, (48, 72, 104, 144), 16000),
    "high": QualityTier(512, (64, 96, 128, 192), 40000),
}


@dataclass(frozen=True, slots=True)
class TrainingLength:
    """`steps`, or as many as fit into `minutes` at the pace measured before the first."""

    steps: int
    minutes: float | None = None


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One run: `steps` in all, `batch` pictures a step, of which `swapped` show another frame's mouth
    (`augmentation`); `learning_rate` the highest; `noise` on the mouth's coefficients, in standard
    deviations, so that nearby mouths look alike."""

    size: NetworkSize
    steps: int
    batch: int = 8
    swapped: int = 1
    learning_rate: float = 2e-3
    noise: float = 0.05
    seed: int = 0

    @property
    def key(self) -> str:
        """The configuration as text: a checkpoint with another key belongs to another run."""
        return json.dumps(asdict(self), sort_keys=True)


@dataclass(frozen=True, slots=True)
class Device:
    """Where tensors live; `autocast` is the narrow type the network computes in, None for full precision."""

    torch_device: torch.device
    autocast: torch.dtype | None
    name: str


def choose_device(wanted: str = "auto", threads: int = 1) -> Device:
    """`auto` is the GPU where torch sees one. `threads` of the CPU, where the CPU trains.

    Raises MissingError without torch, UsageError for a device that this machine lacks.
    """
    if wanted not in DEVICES:
        raise UsageError(f"--device {wanted} is not known.", f"Choose one of: {', '.join(DEVICES)}.")
    try:
        import torch
    except ImportError as error:
        raise MissingError(
            "Training a replica needs torch, which is not installed.",
            "Install it with: pip install 'cvi-local[train]'",
        ) from error
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise UsageError("torch sees no CUDA device here.", "Use --device cpu, or install torch for CUDA.")
    if has_gpu and wanted != "cpu":
        # The same seed then gives the same replica on the GPU too, for about a tenth of the speed.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        return Device(torch.device("cuda"), torch.bfloat16, torch.cuda.get_device_name())
    torch.set_num_threads(max(threads, 1))
    # Without instructions for it, bfloat16 is emulated and slower than full precision.
    native_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    narrow = native_bf16 is not None and native_bf16()
    return Device(torch.device("cpu"), torch.bfloat16 if narrow else None, "cpu")
