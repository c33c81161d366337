"""`python -m cvi.face.sculpted.bake REPLICA_DIR`: bake `character.yaml` into `atlas.npz`."""

from __future__ import annotations

import argparse
import io
import sys
import time
from pathlib import Path

import numpy as np

from cvi.errors import CviError, MissingError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cvi.face.sculpted.bake", description=__doc__)
    parser.add_argument("replica", type=Path, help="folder with character.yaml; atlas.npz is written there")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quality", type=int, default=96, help="WebP quality of the mouth patches, 1..100")
    given = parser.parse_args(arguments)
    try:
        _bake(given.replica, given.threads, given.quality)
    except CviError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    return 0


def _bake(folder: Path, threads: int, quality: int) -> None:
    try:
        from cvi.face.sculpted.bake.bakery import Bakery
        from cvi.face.sculpted.bake.character import load_character
    except ImportError as error:
        raise MissingError(
            f"Baking needs {error.name}.", "Install the train extra: pip install 'cvi[train]'"
        ) from error
    from rich.progress import Progress

    from cvi.face.replica import save_bytes, write_hashes

    character = load_character(folder / "character.yaml")
    began = time.monotonic()
    with Progress() as progress:
        task = progress.add_task("baking", total=None)

        def report(what: str) -> None:
            progress.update(task, description=what, advance=1)

        bakery = Bakery(character, threads, quality, report)
        progress.update(task, total=bakery.photographs)
        arrays = bakery.bake()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    save_bytes(folder / "atlas.npz", buffer.getvalue())
    if (folder / "replica.yaml").exists():
        write_hashes(folder)
    took = time.monotonic() - began
    print(f"{folder / 'atlas.npz'}: {len(buffer.getvalue()) / 1e6:.1f} MB in {took:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
