"""Where runs are stored: a run's folder, `run.json` written and read, and the recorder of a measurement."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cvi.bench.fingerprint import take_fingerprint
from cvi.bench.run import FORMAT, Agreement, OwnCost, Run, Variant
from cvi.errors import CviError, UsageError
from cvi.files import write_json, write_text

RUN_NAME = "run.json"


class RunRecorder:
    """One measurement in the making: made before it begins, `finish` writes its record.

    Add to `notes` (sentences a reader must know) and `files` (names of recordings in `folder`) meanwhile;
    set `profile` where it is known later.
    """

    def __init__(
        self, kind: str, options: Mapping[str, Any], *, profile: str = "", output: Path | None = None
    ) -> None:
        """`output` is the run's folder, or None for `out/bench/<time>-<kind>`.

        Raises UsageError, at once, for a folder that is taken.
        """
        check_run_folder(output)
        self.kind, self.options, self.profile = kind, dict(options), profile
        self.notes: list[str] = []
        self.files: list[str] = []
        self.command = ("cvi", *sys.argv[1:])
        self._output = output
        self._began = datetime.now(UTC).isoformat(timespec="seconds")
        self._began_s, self._began_cpu_s = time.monotonic(), time.process_time()

    @cached_property
    def folder(self) -> Path:
        """The run's folder, made when it is first asked for. Raises CviError where it cannot be made."""
        return new_run_folder(self.kind, self._output)

    @property
    def elapsed_s(self) -> float:
        """Seconds since the measurement began."""
        return time.monotonic() - self._began_s

    @property
    def cpu_s(self) -> float:
        """Processor seconds of this process since the measurement began."""
        return time.process_time() - self._began_cpu_s

    def write(self, name: str, content: object) -> None:
        """Write `content` as JSON into the folder and list it among the run's files. Raises CviError."""
        write_json(self.folder / name, content)
        self.files.append(name)

    def finish(
        self,
        variants: Sequence[Variant],
        *,
        agreement: Sequence[Agreement] = (),
        own_cost: OwnCost | None = None,
        series: Mapping[str, tuple[tuple[float, float], ...]] | None = None,
        duration_s: float | None = None,
        engines: Mapping[str, str] | None = None,
    ) -> Run:
        """Write `run.json` and return the run.

        By default `duration_s` is the time since the recorder was made, `own_cost` the process's processor
        time since then, and the fingerprint names the variants' `engines`. Raises CviError.
        """
        if engines is None:
            engines = {layer: name for variant in variants for layer, name in variant.engines.items()}
        if own_cost is None:
            own_cost = OwnCost(process_cpu_s=self.cpu_s)
        run = Run(
            kind=self.kind,
            command=self.command,
            began=self._began,
            duration_s=round(self.elapsed_s, 3) if duration_s is None else duration_s,
            fingerprint=take_fingerprint(self.profile, engines),
            variants=tuple(variants),
            options=self.options,
            agreement=tuple(agreement),
            own_cost=own_cost,
            series=dict(series or {}),
            files=tuple(self.files),
            notes=tuple(self.notes),
        )
        save_run(run, self.folder)
        return run


def new_run_folder(kind: str, wanted: Path | None = None, root: Path = Path("out/bench")) -> Path:
    """Make the run's folder: `wanted`, or `out/bench/<time>-<kind>`. Raises as `check_run_folder`, and
    CviError where the folder cannot be made."""
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
    """Raise UsageError unless `wanted`, which need not exist, is free for a run: files of an earlier one
    would be taken for part of it."""
    if wanted is None or not wanted.exists():
        return
    if (wanted / RUN_NAME).exists():
        raise UsageError(f"{wanted} holds a run already.", "Choose another folder with -o.")
    if not wanted.is_dir():
        raise UsageError(f"{wanted} is a file.", "Choose a folder with -o.")
    if any(wanted.iterdir()):
        raise UsageError(f"{wanted} is not empty.", "Choose another folder with -o, or empty it.")


def as_json(record: Any) -> Any:
    """A record (a dataclass instance) as plain values, ready for `json.dumps`; tuples become lists."""
    return TypeAdapter(type(record)).dump_python(record, mode="json", by_alias=True)


def save_run(run: Run, folder: Path) -> Path:
    """Write `run.json`, whole or not at all; returns its path. Raises CviError, and ValueError for a figure
    that is not a number, which JSON cannot hold."""
    path = folder / RUN_NAME
    write_text(path, json.dumps(as_json(run), indent=1, allow_nan=False) + "\n")
    return path


def load_run(place: Path) -> Run:
    """A run by its folder or its `run.json`. Raises UsageError for anything else, or another format."""
    path = place / RUN_NAME if place.is_dir() else place
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text)["format"]
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
