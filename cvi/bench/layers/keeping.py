"""A layer's measurement as a run: its figures, its folder, its table."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cvi.bench.fingerprint import take_fingerprint
from cvi.bench.run import SHARE, Figure, OwnCost, Run, Variant
from cvi.bench.run_store import as_json, check_run_folder, new_run_folder, save_run
from cvi.bench.statistics import share, summarize

MOST_COLUMNS = 5


@dataclass(slots=True)
class Measuring:
    """Begun before the first measurement, so that the run knows how long it took.

    `output` is the run's folder, or None. Raises UsageError, at once, for one that is taken.
    """

    kind: str
    options: dict[str, Any]
    profile: str = ""
    output: Path | None = None
    notes: list[str] = field(default_factory=list)
    files: dict[str, Any] = field(default_factory=dict)
    """Name -> what is written there as JSON beside the record."""
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    _since: float = field(default_factory=time.perf_counter)
    _cpu: float = field(default_factory=time.process_time)

    def __post_init__(self) -> None:
        check_run_folder(self.output)

    def finish(self, variants: Sequence[Variant]) -> tuple[Run, Path]:
        """Write the run's folder; returns the record and the folder. Raises UsageError, CviError."""
        engines = {layer: name for variant in variants for layer, name in variant.engines.items()}
        run = Run(
            kind=self.kind,
            command=("cvi", *sys.argv[1:]),
            began=self.began,
            duration_s=round(time.perf_counter() - self._since, 3),
            fingerprint=take_fingerprint(self.profile, engines).as_data(),
            variants=tuple(variants),
            options=self.options,
            own_cost=OwnCost(process_cpu_s=time.process_time() - self._cpu),
            files=tuple(self.files),
            notes=tuple(self.notes),
        )
        folder = new_run_folder(self.kind, self.output)
        for name, content in self.files.items():
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
        save_run(run, folder)
        return run, folder


def shares(name: str, label: str, hits: Iterable[bool], protocol: str = "", lower: bool = True) -> Figure:
    """A proportion: one value, 0 or 1, for each thing that was tried."""
    return Figure(name, label, SHARE, tuple(float(hit) for hit in hits), lower, protocol)


def print_run(run: Run, folder: Path, as_json_text: bool) -> None:
    """For people a table a side and the notes; for machines the record."""
    if as_json_text:
        print(json.dumps(as_json(run)))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for variants in _alike(run.variants):
        table = Table(title=f"cvi bench {run.kind}", title_justify="left")
        table.add_column("median, or share, with its 95 % interval; P99 (n)")
        for variant in variants:
            table.add_column(f"{escape(variant.name)}\n[dim]{escape(variant.about)}[/]", justify="right")
        for figure in variants[0].figures:
            cells = [_cell(found) if (found := variant.figure(figure.name)) else "" for variant in variants]
            table.add_row(escape(figure.label), *cells)
        console.print(table)
    for note in run.notes:
        console.print(escape(note), style="dim")
    console.print(f"Kept in {folder}", style="dim")


def _alike(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Sides that share most figures stand in one table, the one with the most figures first to be read."""
    tables: list[list[Variant]] = []
    for variant in variants:
        names = {figure.name for figure in variant.figures}
        for table in tables:
            known = {figure.name for figure in table[0].figures}
            if len(names & known) * 2 > min(len(names), len(known)) and len(table) < MOST_COLUMNS:
                table.append(variant)
                break
        else:
            tables.append([variant])
    return [sorted(table, key=lambda variant: -len(variant.figures)) for table in tables]


def _cell(figure: Figure) -> str:
    """Value, interval, tail and count, in two short lines."""
    n = len(figure.values)
    if figure.unit == SHARE:
        found = share(int(sum(figure.values)), n)
        if found is None:
            return "—"
        value, low, high = (f"{100 * x:.1f}" for x in (found.value, found.low, found.high))
        return f"{value} %\n[dim]{low} to {high} ({n})[/]"
    summary = summarize(figure.values)
    if summary is None:
        return "—"
    shown = f"{_number(summary.p50.value)} {figure.unit}".strip()
    if figure.interval is not None:
        low, high = map(_number, figure.interval)
        return f"{shown}\n[dim]{low} to {high}[/]"
    if n == 1:
        return shown
    middle = summary.p50
    spread = f"{_number(middle.low)} to {_number(middle.high)}"
    return f"{shown}\n[dim]{spread}; {_number(summary.p99.value)} ({n})[/]"


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def sources(items: Iterable[Any]) -> Mapping[str, int]:
    """How many items come from where."""
    counts: dict[str, int] = {}
    for item in items:
        counts[item.source] = counts.get(item.source, 0) + 1
    return counts
