"""Tables for the terminal: what a run found, in the order a reader asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cvi.bench.compare import QUANTITIES, Row, RunComparison, added_delays, ratio_to_cascade
from cvi.bench.run import ACCOUNT, SHARE, Figure, Run, Variant
from cvi.bench.statistics import Comparison, Interval, ShareComparison, share, summarize

if TYPE_CHECKING:
    from cvi.bench.loopback import LoopbackAnswer
    from cvi.bench.statistics import SeriesVerdict

# A drift known less well than this is not worth telling.
_TELLING_DRIFT_MS = 40.0
MOST_COLUMNS = 5


def print_latency_run(run: Run, console: Console) -> None:
    """Everything a latency run says, tables first."""
    _print_measured(run, console)
    _print_ratios(run, console)
    _print_added(run, console)
    _print_account(run, console)
    _print_playout(run, console)
    _print_agreement(run, console)
    cost = run.own_cost
    console.print(
        f"The probe took {cost.probe_cpu_s:.1f} s of processor time in {cost.wall_s:.0f} s: "
        f"{100 * cost.share:.1f} % of what the program took.",
        style="dim",
    )
    for note in run.notes:
        console.print(note, style="yellow")


def print_comparison(comparison: RunComparison, console: Console) -> None:
    """Warnings, a table for each pair of variants, and how to read it."""
    for warning in comparison.warnings:
        console.print(f"[yellow]{escape(warning)}[/]")
    pairs: dict[tuple[str, str], list[Row]] = {}
    for row in comparison.rows:
        pairs.setdefault((row.variant_a, row.variant_b), []).append(row)
    colours = {"better": "green", "worse": "red"}
    for (a, b), rows in pairs.items():
        title = f"A: {escape(a)}   B: {escape(b)}"
        table = _table(title, ("median, or share",), ("A", "B", "B / A", "95 %", "n"))
        table.add_column("B is")
        for row in rows:
            found = row.comparison
            table.add_row(
                escape(row.label),
                *_compared(found, row.unit),
                f"{found.n_a} pairs" if row.paired else f"{found.n_a}, {found.n_b}",
                f"[{colours.get(row.finding, 'dim')}]{row.finding}[/]",
            )
        console.print(table)
    console.print(
        "Ratios of medians, B to A, with bootstrapped 95 % intervals; a difference is shown when the "
        "interval does not hold 1. Shares: their difference in percentage points, and it must not hold 0.",
        style="dim",
    )


def print_loopback(
    answers: Sequence[LoopbackAnswer], sound_ms: float, picture_ms: float, console: Console
) -> None:
    """One row for each true delay; `sound_ms` and `picture_ms` are the errors allowed."""
    allowed = f"allowed: sound ±{sound_ms:.0f}, picture ±{picture_ms:.0f}"
    title = f"Known delays through the measuring path, ms ({allowed})"
    table = _table(title, (), ("true delay", "n", "sound measured", "sound error", "picture error"))
    for delay_ms in dict.fromkeys(answer.delay_ms for answer in answers):
        same = [answer for answer in answers if answer.delay_ms == delay_ms]
        table.add_row(
            f"{delay_ms:.0f}",
            str(len(same)),
            _range([answer.sound_ms for answer in same], "{:.1f}"),
            _range([answer.sound_error_ms for answer in same], "{:+.1f}"),
            _range([answer.picture_error_ms for answer in same], "{:+.1f}"),
        )
    console.print(table)


def print_soak(run: Run, verdicts: Sequence[SeriesVerdict], console: Console) -> None:
    """One row for each series that was watched, and the late frames."""
    from cvi.bench.report.analysis import number, signed, verdict_words

    warm_min = verdicts[0].warm_up_s / 60 if verdicts else 0.0
    title = f"{run.duration_s / 60:.1f} minutes, of which {warm_min:.1f} are warm-up"
    table = _table(title, ("",), ("median", "peak", "slope an hour (95 %)", "flat if"))
    table.columns[0].no_wrap = True
    table.add_column("verdict")
    colours = {"flat": "green", "not growing": "green", "growing": "red", "shrinking": "cyan"}
    for verdict in verdicts:
        trend, unit = verdict.trend, f" {verdict.watched.unit}".rstrip()
        if trend is None:
            table.add_row(verdict.watched.label, "", "", "", "", "[yellow]too short[/]")
            continue
        table.add_row(
            verdict.watched.label,
            f"{number(trend.level)}{unit}",
            f"{number(max(verdict.values))}{unit}",
            f"{signed(trend.slope)} ({signed(trend.low)} to {signed(trend.high)})",
            f"±{number(trend.tolerance)}",
            f"[{colours.get(trend.verdict, 'yellow')}]{verdict_words(verdict).partition(':')[0]}[/]",
        )
    console.print(table)
    playout = run.variants[0].playout
    console.print(
        f"{playout.late} of {playout.frames} frames were late by more than a frame period.", style="dim"
    )


def print_run(run: Run, folder: Path) -> None:
    """Print a run's figures, a column a variant, and its notes."""
    console = Console(highlight=False)
    for variants in _alike(run.variants):
        heads = [f"{escape(variant.name)}\n[dim]{escape(variant.about)}[/]" for variant in variants]
        table = _table(f"cvi bench {run.kind}", ("median, or share, with its 95 % interval; P99 (n)",), heads)
        for figure in variants[0].figures:
            cells = [_cell(found) if (found := variant.figure(figure.name)) else "" for variant in variants]
            table.add_row(escape(figure.label), *cells)
        console.print(table)
    for note in run.notes:
        console.print(escape(note), style="dim")
    console.print(f"Kept in {folder}", style="dim")


def _print_measured(run: Run, console: Console) -> None:
    title = "Measured from sound and picture, ms after the end of speech (barge-ins: after its onset)"
    table = _percentile_table(title)
    for variant in run.variants:
        turns, cuts = variant.turns, variant.barge_ins
        _add_percentiles(table, variant, "first sound", [turn.first_audio_ms for turn in turns])
        _add_percentiles(table, variant, "first moving mouth", [turn.first_frame_ms for turn in turns])
        if cuts:
            _add_percentiles(table, variant, "barge-in: silence", [cut.silence_ms for cut in cuts])
            _add_percentiles(table, variant, "barge-in: mouth rests", [cut.mouth_at_rest_ms for cut in cuts])
        table.add_section()
    console.print(table)


def _print_ratios(run: Run, console: Console) -> None:
    for quantity, name in QUANTITIES.items():
        found = ratio_to_cascade(run, quantity)
        if found is not None:
            meaning = "a real difference" if found.real else "the difference may be chance"
            console.print(
                f"Ratio of medians, {name}: [bold]{found.ratio.value:.2f}[/bold] of the cascade's "
                f"({found.ratio.low:.2f} to {found.ratio.high:.2f}, n {found.n_a}): {meaning}."
            )


def _print_added(run: Run, console: Console) -> None:
    """What another route than the first one adds, or perception, turn by turn; and where."""
    delays = added_delays(run)
    if delays:
        names, numbers = ("side", "over", "quantity"), ("n", "to a turn", "to P50", "to P95")
        table = _table("Added, ms (paired turns)", names, numbers)
        for one in delays:
            cells = [
                f"{found.value:+.0f} [dim]({found.low:+.0f} to {found.high:+.0f})[/dim]"
                for found in (one.turn, one.p50, one.p95)
            ]
            table.add_row(one.variant, one.plain, one.label, str(one.n), *cells)
        console.print(table)
    table = _percentile_table("The way itself, ms, from what was recorded at both of its ends")
    for variant in run.variants:
        for figure in variant.figures:
            if figure.name.startswith("way_") or figure.name == "first_picture_ms":
                _add_percentiles(table, variant, figure.label, figure.values)
    if table.row_count:
        console.print(table)


def _print_account(run: Run, console: Console) -> None:
    columns = [
        f"{variant.name} {name}" if len(run.variants) > 1 else name
        for variant in run.variants
        for name in ("P50", "P95")
    ]
    table = _table("The program's own account, ms after the end of speech as it saw it", ("step",), columns)
    rows = 0
    for step, label in ACCOUNT.items():
        cells: list[str] = []
        for variant in run.variants:
            found = summarize([turn.journal.get(step) for turn in variant.turns])
            cells += [f"{found.p50.value:.0f}", f"{found.p95.value:.0f}"] if found else ["-", "-"]
            rows += found is not None
        table.add_row(label, *cells)
    if rows:
        console.print(table)


def _print_playout(run: Run, console: Console) -> None:
    for variant in run.variants:
        playout = variant.playout
        if not playout.frames:
            continue
        sync = "no speech to compare"
        if playout.sync_ms is not None:
            sync = f"picture after sound {playout.sync_ms:+.0f} ms"
        if playout.drift_ms_per_min is not None:
            slope, low, high = playout.drift_ms_per_min
            drift = f"drift {slope:+.1f} ms a minute ({low:+.1f} to {high:+.1f})"
            # Conversations of half a minute can't show it; `cvi bench soak` can.
            sync += f", {drift}" if high - low < _TELLING_DRIFT_MS else ", sessions too short for its drift"
        console.print(
            f"{variant.name}: {playout.frames} frames, {playout.late} late by more than a frame period "
            f"({100 * playout.late / playout.frames:.2f} %), {playout.dropped} never came, {playout.frozen} "
            f"stood still while it spoke; {len(playout.gaps)} gaps in the sound; {sync}.",
            style="dim",
        )


def _print_agreement(run: Run, console: Console) -> None:
    if not run.agreement:
        return
    title = "The program's account less the measurement, ms"
    table = _table(title, ("side", "quantity"), ("median", "worst", "allowed", "outside"))
    table.add_column("")
    for check in run.agreement:
        table.add_row(
            check.variant,
            check.quantity.replace("_", " "),
            f"{check.median_ms:+.0f}",
            f"{check.worst_ms:+.0f}",
            f"±{check.tolerance_ms:.0f}",
            f"{check.outside} of {check.n}",
            "[green]agrees[/green]" if check.ok else "[red]disagrees[/red]",
        )
    console.print(table)


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """A table with columns of text, and behind them columns of numbers."""
    table = Table(title=title, title_justify="left")
    for column in texts:
        table.add_column(column)
    for column in numbers:
        table.add_column(column, justify="right")
    return table


def _percentile_table(title: str) -> Table:
    return _table(title, ("side", "quantity"), ("n", "P50", "P90", "P95", "P99"))


def _add_percentiles(table: Table, variant: Variant, name: str, values: Sequence[float | None]) -> None:
    found = summarize(values)
    if found is None:
        table.add_row(variant.name, name, "0", "-", "-", "-", "-")
        return
    p50, p95 = _interval(found.p50), _interval(found.p95)
    p90, p99 = f"{found.p90.value:.0f}", f"{found.p99.value:.0f}"
    table.add_row(variant.name, name, str(found.n), p50, p90, p95, p99)


def _interval(found: Interval) -> str:
    """A value with its 95 % interval."""
    return f"{found.value:.0f} [dim]({found.low:.0f}-{found.high:.0f})[/dim]"


def _compared(found: Comparison | ShareComparison, unit: str) -> tuple[str, str, str, str]:
    """A, B, B against A, and its interval."""
    if isinstance(found, ShareComparison):
        apart = found.difference
        return (
            f"{100 * found.share_a:.1f} %",
            f"{100 * found.share_b:.1f} %",
            f"{100 * apart.value:+.1f} pt",
            f"{100 * apart.low:+.1f} to {100 * apart.high:+.1f}",
        )
    return (
        f"{found.median_a:.4g} {unit}".strip(),
        f"{found.median_b:.4g} {unit}".strip(),
        f"{found.ratio.value:.2f}",
        f"{found.ratio.low:.2f}-{found.ratio.high:.2f}",
    )


def _range(values: Sequence[float | None], form: str) -> str:
    present = [value for value in values if value is not None]
    return f"{form.format(min(present))} .. {form.format(max(present))}" if present else "-"


def _alike(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Variants that share most figures stand in one table, the one with the most figures first."""
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
    if not n:
        return "—"
    if figure.unit == SHARE and (found := share(int(sum(figure.values)), n)) is not None:
        value, low, high = (f"{100 * x:.1f}" for x in (found.value, found.low, found.high))
        return f"{value} %\n[dim]{low} to {high} ({n})[/]"
    summary = summarize(figure.values)
    assert summary is not None
    shown = f"{_number(summary.p50.value)} {figure.unit}".strip()
    if n == 1 and figure.interval is None:
        return shown
    low, high = map(_number, figure.interval or (summary.p50.low, summary.p50.high))
    tail = "" if figure.interval else f"; {_number(summary.p99.value)} ({n})"
    return f"{shown}\n[dim]{low} to {high}{tail}[/]"


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
