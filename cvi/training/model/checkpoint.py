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
    """`step` of `total` are done; `config_key` identifies the run (`TrainingConfig.key`); `took_s` seconds of
    computing so far; `validation` the (step, validation loss) pairs measured so far."""

    step: int
    total: int
    config_key: str
    took_s: float
    validation: tuple[tuple[int, float], ...] = ()


def save_checkpoint(
    folder: Path, network: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState
) -> None:
    """Raises CviError where the disk refuses; the checkpoint before is then still whole."""
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    for index, slot in optimizer.state_dict()["state"].items():
        for name, value in slot.items():
            tensors[f"optimizer.{index}.{name}"] = value.detach().cpu().contiguous()
    meta = {
        "step": str(state.step),
        "total": str(state.total),
        "plan": state.config_key,
        "took_s": repr(state.took_s),
        "validation": json.dumps(state.validation),
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
                _, index, slot = name.split(".", 2)
                slots.setdefault(int(index), {})[slot] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
        return _state(meta)
    except (SafetensorError, KeyError, ValueError, RuntimeError, OSError) as error:
        raise UsageError(
            f"{path} cannot be continued from ({error}).", "Remove it to train from the beginning."
        ) from error


def peek_checkpoint(folder: Path) -> TrainingState | None:
    """How far a run is, from the file's header alone; None where there is no checkpoint that can be read."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= 10_000_000:
            return None
        try:
            return _state(json.loads(file.read(length))["__metadata__"])
        except (ValueError, KeyError):
            return None


def _state(meta: dict[str, str]) -> TrainingState:
    """Raises KeyError, ValueError."""
    validation = tuple((int(step), float(loss)) for step, loss in json.loads(meta.get("validation", "[]")))
    return TrainingState(
        int(meta["step"]), int(meta["total"]), meta["plan"], float(meta["took_s"]), validation
    )
