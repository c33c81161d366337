"""Tables for the terminal: what a run found, in the order a reader asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from cvi.bench.added import added
from cvi.bench.agreement import STEPS
from cvi.bench.run import Run, TurnRecord, Variant
from cvi.bench.statistics import Comparison, Interval, Summary, compare, compare_pairs, summarize

_STEP_NAMES = {
    "floor": "the floor passed",
    "transcript": "final transcript",
    "first_token": "first word written",
    "first_clause": "first clause written",
    "first_speech": "first clause spoken (gated)",
    "first_audio": "first sound",
    "first_frame": "first frame with a moving mouth",
}
# A drift known less well than this is not worth telling.
_TELLING_DRIFT_MS = 40.0


def print_latency_run(run: Run, console: Console) -> None:
    """Everything a latency run says, tables first."""
    _print_measured(run, console)
    _print_ratios(run, console)
    _print_added(run, console)
    _print_breakdown(run, console)
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


def ratio(run: Run, quantity: str = "first_audio_ms") -> Comparison | None:
    """Ours against the baseline's, turn by turn where both answered; None without a baseline."""
    ours, plain = run.variant("cvi"), run.variant("cascade")
    if ours is None or plain is None:
        return None
    left, right = _answers(plain.turns, quantity), _answers(ours.turns, quantity)
    both = [(left[key], right[key]) for key in left if key in right]
    return compare_pairs(both) if both else compare(list(left.values()), list(right.values()))


def _answers(turns: Iterable[TurnRecord], quantity: str) -> dict[str, float]:
    return {turn.id: value for turn in turns if (value := getattr(turn, quantity)) is not None}


def _print_measured(run: Run, console: Console) -> None:
    table = _table("Measured from sound and picture, ms after the end of speech (barge-ins: after its onset)")
    for variant in run.variants:
        turns = variant.turns
        _row(table, variant, "first sound", [turn.first_audio_ms for turn in turns])
        _row(table, variant, "first moving mouth", [turn.first_frame_ms for turn in turns])
        if variant.barge_ins:
            _row(table, variant, "barge-in: silence", [cut.silence_ms for cut in variant.barge_ins])
            _row(table, variant, "barge-in: mouth rests", [cut.mouth_at_rest_ms for cut in variant.barge_ins])
        table.add_section()
    console.print(table)


def _print_ratios(run: Run, console: Console) -> None:
    for quantity, name in (("first_audio_ms", "first sound"), ("first_frame_ms", "first moving mouth")):
        found = ratio(run, quantity)
        if found is not None:
            told = "a real difference" if found.real else "the difference may be chance"
            console.print(
                f"Ratio of medians, {name}: [bold]{found.ratio.value:.2f}[/bold] of the cascade's "
                f"({found.ratio.low:.2f} to {found.ratio.high:.2f}, n {found.n_a}): {told}."
            )


def _print_added(run: Run, console: Console) -> None:
    """What another way than the first one adds, turn by turn, and where."""
    found = added(run)
    if found:
        table = Table(title="Added by the way, ms (paired turns)", title_justify="left")
        for column in ("side", "over", "quantity", "n", "to a turn", "to P50", "to P95"):
            table.add_column(column, justify="left" if column in ("side", "over", "quantity") else "right")
        for one in found:
            cells = [_added(found) for found in (one.turn, one.p50, one.p95)]
            table.add_row(one.variant, one.plain, one.label, str(one.n), *cells)
        console.print(table)
    table = _table("The way itself, ms, from what was recorded at both of its ends")
    for variant in run.variants:
        for figure in variant.figures:
            if figure.name.startswith("way_") or figure.name == "first_picture_ms":
                _row(table, variant, figure.label, figure.values)
    if table.row_count:
        console.print(table)


def _added(found: Interval) -> str:
    return f"{found.value:+.0f} [dim]({found.low:+.0f} to {found.high:+.0f})[/dim]"


def _print_breakdown(run: Run, console: Console) -> None:
    title = "The program's own account, ms after the end of speech as it saw it"
    table = Table(title=title, title_justify="left")
    table.add_column("step")
    for variant in run.variants:
        for name in ("P50", "P95"):
            table.add_column(f"{variant.name} {name}" if len(run.variants) > 1 else name, justify="right")
    rows = 0
    for step in STEPS:
        cells: list[str] = []
        for variant in run.variants:
            found = summarize([turn.journal.get(step) for turn in variant.turns])
            cells += [f"{found.p50.value:.0f}", f"{found.p95.value:.0f}"] if found else ["-", "-"]
            rows += found is not None
        table.add_row(_STEP_NAMES[step], *cells)
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
            told = f"drift {slope:+.1f} ms a minute ({low:+.1f} to {high:+.1f})"
            # Conversations of half a minute can't show it; `cvi bench soak` can.
            sync += f", {told}" if high - low < _TELLING_DRIFT_MS else ", sessions too short for its drift"
        console.print(
            f"{variant.name}: {playout.frames} frames, {playout.late} late by more than a frame period "
            f"({100 * playout.late / playout.frames:.2f} %), {playout.dropped} never came, {playout.frozen} "
            f"stood still while it spoke; {len(playout.gaps)} gaps in the sound; {sync}.",
            style="dim",
        )


def _print_agreement(run: Run, console: Console) -> None:
    if not run.agreement:
        return
    table = Table(title="The program's account less the measurement, ms", title_justify="left")
    for column in ("side", "quantity", "median", "worst", "allowed", "outside", ""):
        table.add_column(column, justify="left" if column in ("side", "quantity", "") else "right")
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


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("side", "quantity", "n", "P50", "P90", "P95", "P99"):
        table.add_column(column, justify="left" if column in ("side", "quantity") else "right")
    return table


def _row(table: Table, variant: Variant, name: str, values: Sequence[float | None]) -> None:
    found: Summary | None = summarize(values)
    if found is None:
        table.add_row(variant.name, name, "0", "-", "-", "-", "-")
        return
    p50, p95 = _interval(found.p50), _interval(found.p95)
    p90, p99 = f"{found.p90.value:.0f}", f"{found.p99.value:.0f}"
    table.add_row(variant.name, name, str(found.n), p50, p90, p95, p99)


def _interval(found: Interval) -> str:
    """With its 95 % interval."""
    return f"{found.value:.0f} [dim]({found.low:.0f}-{found.high:.0f})[/dim]"
