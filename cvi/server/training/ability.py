"""Whether replicas can be made on this machine."""

from __future__ import annotations

from importlib.util import find_spec

from cvi.errors import MissingError
from cvi.training.footage.mesh_tracker import find_packages

NEEDED = ("torch", "safetensors")


def what_is_missing() -> str | None:
    """None where nothing is, else what and the command that mends it. Looks at the disk, imports nothing."""
    for name in NEEDED:
        if find_spec(name) is None:
            return f"Training a replica needs {name}, which the server has not got. pip install 'cvi[train]'"
    try:
        find_packages()
    except MissingError as error:
        return str(error)
    return None
