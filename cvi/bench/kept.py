"""Where a run is kept: its folder, and `run.json` written and read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cvi.bench.run import FORMAT, Run
from cvi.errors import CviError, UsageError

RUN_NAME = "run.json"


def new_run_folder(kind: str, wanted: Path | None = None, root: Path = Path("out/bench")) -> Path:
    """Make the run's folder: `wanted`, or `out/bench/<time>-<kind>`. Raises as `check_run_folder`."""
    check_run_folder(wanted)
    folder = wanted or root / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{kind}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CviError(
            f"The folder {folder} cannot be made: {error.strerror}.", "Choose another with -o."
        ) from error
    return folder


def check_run_folder(wanted: Path | None) -> None:
    """Raise UsageError unless `wanted`, which need not exist yet, is free for a run: what an earlier one left
    would be taken for part of it."""
    if wanted is None or not wanted.exists():
        return
    if (wanted / RUN_NAME).exists():
        raise UsageError(f"{wanted} holds a run already.", "Choose another folder with -o.")
    if not wanted.is_dir():
        raise UsageError(f"{wanted} is a file.", "Choose a folder with -o.")
    if any(wanted.iterdir()):
        raise UsageError(f"{wanted} is not empty.", "Choose another folder with -o, or empty it.")


def as_json(value: Any) -> Any:
    """A record's dataclasses as plain values, ready for `json.dumps`; tuples become lists."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(asdict(value))


def save_run(run: Run, folder: Path) -> Path:
    """Write `run.json`, whole or not at all; returns its path. Raises CviError."""
    path = folder / RUN_NAME
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(as_json(run), file, indent=1, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise CviError(f"{path} cannot be written: {error.strerror}.", "Free some room.") from error
    finally:
        part.unlink(missing_ok=True)
    return path


def load_run(place: Path) -> Run:
    """A run by its folder or its `run.json`. Raises UsageError for what is none, or of another format."""
    from pydantic import TypeAdapter, ValidationError

    path = place / RUN_NAME if place.is_dir() else place
    try:
        text = path.read_text(encoding="utf-8")
        fields = json.loads(text)
        found = fields["format"]
    except OSError as error:
        if place.is_dir() and any(place.iterdir()):
            complaint = f"{place} has no {RUN_NAME}: its measurement did not come to an end, or was none."
            raise UsageError(complaint, "Measure again, into another folder.") from error
        raise UsageError(
            f"There is no run in {place}.", "Give a folder that `cvi bench` made, with a run.json."
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path} is not a record of a run.", "Give a run.json of `cvi bench`.") from error
    if found != FORMAT:
        raise UsageError(
            f"{path} has format {found!r}; this program reads {FORMAT}.", "Run the measurement again."
        )
    try:
        return TypeAdapter(Run).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        complaint = f"{path}: {where}: {first['msg']}."
        raise UsageError(complaint, "The record is damaged; measure again.") from error
