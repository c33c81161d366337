"""Everything training needs to go on as if it had never stopped, in one file, written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cvi.errors import UsageError
from cvi.files import replacing

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

CHECKPOINT = "checkpoint.safetensors"
PREVIEW = "preview.png"


@dataclass(frozen=True, slots=True)
class TrainingState:
    """`step` of `total` are done; `plan` is what the run was started with, as text: another plan is another
    run. `took_s` of computing so far."""

    step: int
    total: int
    plan: str
    took_s: float


def save_checkpoint(
    folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState
) -> None:
    """Raises CviError where the disk refuses."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    for index, slot in optimizer.state_dict()["state"].items():
        for name, value in slot.items():
            tensors[f"optimizer.{index}.{name}"] = value.detach().cpu().contiguous()
    meta = {
        "step": str(state.step),
        "total": str(state.total),
        "plan": state.plan,
        "took_s": repr(state.took_s),
    }
    remedy = "Free some space and give the command again: it goes on from the last one."
    with replacing(folder / CHECKPOINT, remedy=remedy) as part:
        part.write_bytes(save(tensors, meta))


def load_checkpoint(
    folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState | None:
    """Put the network and the optimizer into the state that was saved; None where nothing was.

    Raises UsageError for a file that cannot be read or belongs to another network.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            meta = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        network.load_state_dict(
            {name.removeprefix("network."): v for name, v in tensors.items() if name.startswith("network.")}
        )
        slots: dict[int, dict[str, Any]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, what = name.split(".", 2)
                slots.setdefault(int(index), {})[what] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        return TrainingState(int(meta["step"]), int(meta["total"]), meta["plan"], float(meta["took_s"]))
    except (SafetensorError, KeyError, ValueError, RuntimeError, OSError) as error:
        raise UsageError(
            f"{path} cannot be gone on from ({error}).", "Remove it to train from the beginning."
        ) from error


def peek_checkpoint(folder: Path) -> TrainingState | None:
    """How far a run is, without its weights."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= 10_000_000:
            return None
        try:
            meta = json.loads(file.read(length))["__metadata__"]
            return TrainingState(int(meta["step"]), int(meta["total"]), meta["plan"], float(meta["took_s"]))
        except (ValueError, KeyError):
            return None
