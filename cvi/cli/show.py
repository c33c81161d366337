"""`cvi show` and `cvi list`: what is in the journals; `cvi turns`: turn-taking of a recording as a plot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cvi.conversation.journal import Record


def show(
    conversation: Annotated[
        str, typer.Argument(help="A conversation's id or the beginning of it, its folder, or `last`.")
    ] = "last",
    events: Annotated[bool, typer.Option("--events", help="Every event, with its time.")] = False,
    latency: Annotated[bool, typer.Option("--latency", help="Only how long each step took.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write a page with everything on one time line (HTML).")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Everything, for machines.")] = False,
) -> None:
    """What was said in a conversation, and how fast.

    Transcript, latency, events; also of a conversation that was cut short.
    """
    from cvi.conversation.journal import list_ids, load_record
    from cvi.errors import UsageError
    from cvi.paths import conversations_dir
    from cvi.untrusted import printable

    if conversation == "last" and not list_ids(conversations_dir()):
        raise UsageError("There is no conversation on this machine yet.", "Hold one with: cvi talk")
    record = load_record(conversations_dir(), conversation)
    if report:
        from cvi.bench.report.conversation_page import write_conversation_page

        page = record.folder / "report.html"
        write_conversation_page(record, page)
        typer.echo(page)
    elif json:
        _print_json(_as_data(record))
    elif events:
        for event in record.events:
            fields = event.to_json()
            details = "  ".join(f"{key}={value}" for key, value in event.data().items())
            typer.echo(printable(f"{event.t:9.3f}  {fields['type']:<24}{details}"))
    else:
        from cvi.cli.report import print_latency, print_memories, print_tool_calls, print_transcript

        if not latency:
            print_transcript(record)
            print_tool_calls(record)
            print_memories(record)
        print_latency(record)


def list_conversations(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """The conversations on this machine, newest first."""
    from cvi.conversation.journal import list_ids, load_record
    from cvi.errors import CviError
    from cvi.paths import conversations_dir

    records = []
    for found in list_ids(conversations_dir())[:limit]:
        try:
            records.append(load_record(conversations_dir(), found))
        except CviError as error:  # one damaged journal must not hide the others
            typer.echo(str(error), err=True)
    if json:
        _print_json([_summary(record) for record in records])
        return
    if not records:
        typer.echo("No conversations yet. `cvi talk` holds one.")
        return
    from cvi.cli.report import print_list

    print_list(records)


def _summary(record: Record) -> dict[str, Any]:
    return {
        "conversation_id": record.conversation_id,
        "began": record.started.began,
        "duration_s": record.duration_s,
        "ended": record.ended,
        "folder": str(record.folder),
        "recording": str(record.recording) if record.recording else None,
        **{key: getattr(record.started, key) or None for key in ("persona", "replica", "profile", "engines")},
    }


def _as_data(record: Record) -> dict[str, Any]:
    from dataclasses import asdict

    from cvi.conversation.latency import barge_ins, turn_latencies
    from cvi.conversation.tool_calls import tool_calls
    from cvi.conversation.transcript import transcript
    from cvi.policy.results import objective_results

    return {
        **_summary(record),
        "transcript": [asdict(line) for line in transcript(record.events)],
        "tool_calls": [asdict(call) for call in tool_calls(record.events)],
        "latency_ms": [asdict(turn) for turn in turn_latencies(record.events)],
        "barge_in_ms": [asdict(cut) for cut in barge_ins(record.events)],
        "playout": asdict(record.playout) if record.playout is not None else None,
        "objectives": objective_results(record.events),
        "events": [event.to_json() for event in record.events],
    }


def _print_json(data: Any) -> None:
    import json

    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def turns(
    file: Annotated[Path, typer.Argument(help="A recording of one person: wav, flac, mp3, a film.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The plot: .png, .svg, .pdf, or .html with all judgements.")
    ] = Path("turns.png"),
    persona: Annotated[str, typer.Option(help="Whose engines and system prompt: a name or file.")] = "guide",
    profile: Annotated[str, typer.Option(help="auto, embedded, cpu, laptop or workstation.")] = "auto",
) -> None:
    """Plot a recording with loudness, pitch, words, how likely the floor is free, and what is decided.

    The program's own conversation hears it in simulated time, with the profile's engines.
    """
    from cvi.bench.turn_plot import plot_turns
    from cvi.conversation.events import TurnCommitted

    events = plot_turns(file, output, persona=persona, profile=profile)
    for event in events:
        if isinstance(event, TurnCommitted):
            sure = "" if event.completeness is None else f", {event.completeness:.2f} before silence"
            waited = f"turn over after {event.silence_ms} ms of silence{sure}"
            typer.echo(f"{event.t:7.2f} s  {waited}: {event.text}")
    typer.echo(f"Drawn in {output}")
