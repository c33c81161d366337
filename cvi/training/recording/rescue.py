"""A recording that was cut short, by a power cut or a kill, is a film all the same."""

from __future__ import annotations

from pathlib import Path

from cvi.errors import UsageError
from cvi.media.encode import remux
from cvi.training.footage import open_footage


def recording_path(output: Path) -> Path:
    """Where a film grows until it is whole."""
    return output.with_name(f".{output.stem}.recording.mp4")


def rescue(output: Path) -> Path | None:
    """Make what an earlier recording of this name left behind into a film beside it; its path.

    None where nothing was left, or nothing that shows a picture (that is removed). Raises CviError when the
    disk refuses; what was left is then still there.
    """
    left = recording_path(output)
    if not left.is_file():
        return None
    try:
        open_footage(left)
    except UsageError:
        left.unlink()
        return None
    number, film = 1, output.with_name(f"{output.stem}-rescued.mp4")
    while film.exists():
        number += 1
        film = output.with_name(f"{output.stem}-rescued-{number}.mp4")
    remux(left, film)
    left.unlink()
    return film
