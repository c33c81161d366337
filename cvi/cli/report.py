"""Transcripts and latency tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cvi.conversation.events import (
    ContextProvided,
    EngineFailed,
    GuardrailTriggered,
    MemoriesRecalled,
    MemoryFailed,
    MemoryKept,
    PlayoutFigures,
)
from cvi.conversation.journal import Record
from cvi.conversation.latency import barge_ins, opener_pauses, percentiles, turn_latencies
from cvi.conversation.tool_calls import tool_calls
from cvi.conversation.transcript import transcript
from cvi.policy.results import objective_results
from cvi.untrusted import printable

_ROWS = (
    ("floor", "the floor passed"),
    ("transcript", "final transcript"),
    ("first_token", "first word written"),
    ("first_clause", "first clause written"),
    ("first_speech", "first clause spoken (gated)"),
    ("first_audio", "first sound heard"),
    ("first_frame", "first frame with a moving mouth"),
)


def print_transcript(record: Record) -> None:
    """Who said what, with the time it began."""
    console = Console(highlight=False)
    name = (record.started.persona or "persona").split(",")[0]
    lines = transcript(record.events)
    if not lines:
        console.print("Nothing was said.", style="dim")
    for line in lines:
        who, style = (name, "bold cyan") if line.role == "assistant" else ("you", "bold green")
        cut = " [dim]— interrupted[/dim]" if line.interrupted else ""
        said = escape(printable(line.text))
        console.print(f"[dim]{line.start_s:7.2f}[/dim]  [{style}]{escape(printable(who))}[/]  {said}{cut}")
    for event in record.events:
        if isinstance(event, EngineFailed):
            console.print(f"[dim]{event.t:7.2f}[/dim]  [red]{escape(printable(event.message))}[/red]")
        if isinstance(event, GuardrailTriggered):
            what = f"guardrail {event.guardrail} ({event.action}): {event.text}"
            console.print(f"[dim]{event.t:7.2f}[/dim]  [yellow]{escape(printable(what))}[/yellow]")
    for result in objective_results(record.events):
        values = ", ".join(f"{name}: {value}" for name, value in result["output_variables"].items())
        reached = f"objective {result['objective_name']} {result['status']}  {values}"
        console.print(escape(printable(reached.rstrip())), style="magenta")
    if record.ended is None:
        console.print("The conversation was cut short; this is what was heard by then.", style="yellow")


def print_latency(record: Record) -> None:
    """Percentiles of every step, from the true end of speech, and of the interruptions."""
    console = Console(highlight=False)
    turns = turn_latencies(record.events)
    if not turns:
        console.print("No latency: nobody spoke, or the conversation was typed.", style="dim")
        return
    table = Table(title="Latency, ms after the true end of speech in the waveform", title_justify="left")
    for column in ("step", "P50", "P95", "P99", "n"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for key, label in _ROWS:
        _row(table, label, [getattr(turn, key) for turn in turns])
    _row(table, "pause after a neutral opener", opener_pauses(record.events))
    cuts = barge_ins(record.events)
    if cuts:
        table.add_section()
        _row(table, "barge-in: voice to silence", [cut.silence for cut in cuts])
        _row(table, "barge-in: voice to mouth at rest", [cut.mouth_at_rest for cut in cuts])
    console.print(table)
    hits = sum(turn.draft_hit for turn in turns)
    console.print(f"{hits} of {len(turns)} replies were drafted before the turn ended.", style="dim")
    if record.playout is not None:
        console.print(_playout_line(record.playout), style="dim")


def print_tool_calls(record: Record) -> None:
    """One line a call of a tool: when, what with, what came of it, how long it took; nothing without any."""
    calls = tool_calls(record.events)
    if not calls:
        return
    console = Console(highlight=False, soft_wrap=True)
    for call in calls:
        took = "" if call.took_s is None else f" in {call.took_s:.1f} s"
        result = " ".join(call.output.split())[:100]
        said = ", ".join(f"{name}: {value}" for name, value in call.arguments.items())
        console.print(
            f"{call.start_s:7.1f}  {escape(f'{call.name}({said})')} "
            f"[dim]{call.delivery}, {call.state}{took}[/] {escape(result)}"
        )
    console.print()


def print_memories(record: Record) -> None:
    """What was recalled or read in documents, for which reply, and what was kept; nothing without any."""
    console = Console(highlight=False, soft_wrap=True)
    for event in record.events:
        match event:
            case MemoriesRecalled():
                lines = [f"known at the start: {each}" for each in event.memories]
            case ContextProvided(source="memory"):
                lines = [f"recalled for reply {event.reply}: {each}" for each in event.passages]
            case ContextProvided(source="knowledge"):
                lines = [f"read for reply {event.reply}: {each}" for each in event.passages]
            case MemoryKept():
                lines = [f"kept: {event.memory}", *(f"  no longer holds: {each}" for each in event.outdated)]
            case MemoryFailed():
                lines = [event.message]
            case _:
                continue
        for line in lines:
            console.print(f"{event.t:7.1f}  {escape(line)}", style="dim")


def print_list(records: Sequence[Record]) -> None:
    """One line a conversation: id, when, how long, with whom, which profile, how it ended."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for column in ("conversation", "began", "length", "persona", "profile", "ended"):
        table.add_column(column, no_wrap=column in ("conversation", "began", "length"))
    for record in records:
        started = record.started
        table.add_row(
            record.conversation_id,
            started.began[:16].replace("T", " "),
            f"{record.duration_s:.0f} s",
            escape((started.persona or "?").split(",")[0]),
            escape(started.profile or "?"),
            (record.ended or "[yellow]cut short[/yellow]").replace("_", " "),
        )
    console.print(table)


def _row(table: Table, label: str, values: Sequence[float | None]) -> None:
    figures = percentiles(values)
    if figures is not None:
        table.add_row(label, f"{figures.p50:.0f}", f"{figures.p95:.0f}", f"{figures.p99:.0f}", str(figures.n))


def _playout_line(playout: PlayoutFigures) -> str:
    units = max(playout.units, 1)
    late = playout.late + playout.stale
    return (
        f"{playout.units} frames, {late} late by more than a frame period ({100 * late / units:.2f} %), "
        f"{playout.repeated} shown twice, worst delay of the clock {playout.worst_late_ms:.0f} ms; "
        f"gaps in the voice: {playout.gaps}."
    )
