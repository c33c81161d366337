"""`python -m cvi.characters REPLICA`: bake `character.yaml` into `atlas.npz`, or make a picture of the
resting face."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cvi.characters import PARAMETERS_FILE
from cvi.errors import CviError, MissingError
from cvi.face.replica import find_replica


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 failure, 2 misuse, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m cvi.characters", description=__doc__)
    parser.add_argument("replica", help="name, or folder with character.yaml; atlas.npz is written there")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--height", type=int, default=720, help="720 as shipped; 1080 for films, half as fast live"
    )
    parser.add_argument("--quality", type=int, default=96, help="WebP quality of the mouth patches, 1..100")
    parser.add_argument("--seconds", type=float, help="stop after so long; the next run resumes")
    parser.add_argument("--portrait", type=Path, help="only make one picture (PNG) of the resting face")
    options = parser.parse_args(arguments)
    try:
        folder = _folder(options.replica)
        if options.portrait is not None:
            _portrait(folder, options.portrait, options.threads)
        else:
            _bake(folder, options.threads, options.height, options.quality, options.seconds)
    except CviError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("Stopped. Finished steps are stored; the same command resumes.", file=sys.stderr)
        return 130
    return 0


def _folder(name_or_path: str) -> Path:
    path = Path(name_or_path)
    return path if (path / PARAMETERS_FILE).is_file() else find_replica(name_or_path)


def _bake(folder: Path, threads: int, height: int, quality: int, seconds: float | None) -> None:
    from rich.progress import Progress

    try:
        from cvi.characters.baker import BakeOptions, bake
    except ImportError as error:
        raise _needs(error) from error
    with Progress() as progress:
        task = progress.add_task("baking", total=None)

        def report(done: int, steps: int, what: str) -> None:
            progress.update(task, description=what, completed=done, total=steps)

        atlas = bake(folder, threads, BakeOptions(height, quality), report, seconds)
    if atlas is None:
        print(f"{folder}: not finished; the same command resumes.")
    else:
        print(f"{atlas}: {atlas.stat().st_size / 1e6:.1f} MB")


def _portrait(folder: Path, picture: Path, threads: int) -> None:
    import cv2

    try:
        from cvi.characters.character import load_character
        from cvi.characters.subject import Subject, portrait
    except ImportError as error:
        raise _needs(error) from error
    subject = Subject(load_character(folder / PARAMETERS_FILE), threads)
    cv2.imwrite(str(picture), portrait(subject, {}, 1.0)[..., ::-1])


def _needs(error: ImportError) -> MissingError:
    return MissingError(f"Baking needs {error.name}.", "Install it with: pip install 'cvi-local[train]'")


if __name__ == "__main__":
    sys.exit(main())
