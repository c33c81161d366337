"""How large a replica may be: what `--quality` chooses.

TODO Where training computes: the one place that knows devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cvi.training.model.network import NetworkSize
from cvi.errors import MissingError, UsageError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class QualityTier:
    """`most_side` of the crop, pixels; `channels` of the network's levels; `steps` of training, each of
    `batch` pictures, where nobody says how long.

    Small batches learn more in the same time: on one minute of footage, 160 pixels, 320 steps of 4 pictures
    gave 30.2 dB in the hidden region of held-out frames, 160 steps of 8 gave 29.0.
    """

    most_side: int
    channels: tuple[int, int, int, int]
    steps: int
    batch: int = 4

    def network(self, side: int, mouth: int) -> NetworkSize:
        """The network for a crop of `side` pixels and `mouth` coefficients."""
        from cvi.training.model.network import NetworkSize

        return NetworkSize(side, self.channels, mouth)


TIERS = {
    "tiny": QualityTier(160, (40, 56, 80, 112), 10000),
    "standard": QualityTier(256, (48, 72, 104, 144), 16000),
    "high": QualityTier(512, (64, 96, 128, 192), 40000),
}


LEVELS = 4
"""Resolutions of the network: 1/4, 1/8, 1/16 and 1/32 of the crop."""
CHOICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Device:
    """`where` tensors live; `half` the narrow type the network computes in, None for full precision."""

    where: torch.device
    half: torch.dtype | None
    name: str


def choose_device(wanted: str = "auto", threads: int = 1) -> Device:
    """`auto` is the GPU where torch sees one. `threads` of the processor, where it is the processor.

    Raises MissingError without torch, UsageError for a device that is not here.
    """
    if wanted not in CHOICES:
        raise UsageError(f"--device {wanted} is not known.", f"Choose one of: {', '.join(CHOICES)}.")
    try:
        import torch
    except ImportError as error:
        raise MissingError(
            "Training a replica needs torch, which is not installed.",
            "Install it with: pip install 'cvi[train]'",
        ) from error
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise UsageError("torch sees no CUDA device here.", "Use --device cpu, or install torch for CUDA.")
    if has_gpu and wanted != "cpu":
        # The same seed gives the same replica there too, for about a tenth of the speed.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        return Device(torch.device("cuda"), torch.bfloat16, torch.cuda.get_device_name())
    torch.set_num_threads(max(threads, 1))
    # Without instructions for it, bfloat16 is emulated and slower than full precision.
    narrow = _has_bf16()
    return Device(torch.device("cpu"), torch.bfloat16 if narrow else None, "cpu")


def _has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 by itself."""
    import torch

    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check is not None and check())
