"""`cvi bench turns` and `cvi bench barge-in`: whose turn it is, measured on labelled recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cvi.cli.bench import Json, Output, Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from cvi.bench.recordings.labelled_recordings import Recordings

Persona = Annotated[str, typer.Option(help="Whose engines and system prompt: a persona's name or file.")]
Data = Annotated[
    str,
    typer.Argument(
        help="A folder of labelled recordings (pauses .scv, two-channel .json, .rttm, transcripts), "
        "or the name of a recipe of callers."
    ),
]
Limit = Annotated[int | None, typer.Option(help="Only the first so many recordings of each kind.")]
Recognized = Annotated[
    Path | None,
    typer.Option(help="Keep here what the recognizer decodes: a stopped run goes on, another one is quick."),
]


def turns(
    data: Data = "standard",
    persona: Persona = "guide",
    profile: Profile = "auto",
    turn_model: Annotated[
        Path | None, typer.Option(help="Smart Turn's .onnx; else the profile's, where it is installed.")
    ] = None,
    limit: Limit = None,
    slowness: Annotated[
        float, typer.Option(help="Scale of the measured computing time: 0 is a machine without limits.")
    ] = 1.0,
    fit: Annotated[
        bool, typer.Option("--fit", help="Print thresholds that would be better on these recordings.")
    ] = False,
    heard: Annotated[
        Path | None, typer.Option(help="Judge anew what an earlier run heard: its heard.json.")
    ] = None,
    recognized: Recognized = None,
    answer_s: Annotated[
        list[float] | None,
        typer.Option(
            help="Also let hesitating turns be answered by the real conversation, whose answers need so many "
            "seconds to their first words: how often it cuts in, how soon it answers. May be given again."
        ),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """False cuts against delay at the silences of labelled turns, and moments detected in dialogues.

    Every silence of 0.1 s or more is a decision. The program's own conversation hears the sound in
    simulated time; what its engines compute is timed and delays them. Silence alone is measured too.
    """
    from cvi.bench.layers.turns import measure_turns

    found = None if heard is not None else read(data, limit)
    measure_turns(
        found,
        heard,
        data=data,
        persona=persona,
        profile=profile,
        turn_model=turn_model,
        slowness=slowness,
        fit=fit,
        recognized=recognized,
        answer_s=answer_s or (),
        output=output,
        json=json,
    )


def barge_in(
    data: Data = "standard",
    persona: Persona = "guide",
    profile: Profile = "auto",
    limit: Limit = None,
    slowness: Annotated[float, typer.Option(help="Scale of the measured computing time.")] = 1.0,
    fit: Annotated[
        bool, typer.Option("--fit", help="Try other thresholds and print what each would give.")
    ] = False,
    recognized: Recognized = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """What the persona does when somebody speaks over it: yields, carries on, resumes, or misses it.

    Read from the sound that was heard, while the persona talks in one steady voice.
    """
    from cvi.bench.layers.barge_in_reactions import measure_barge_in

    measure_barge_in(
        read(data, limit),
        data=data,
        persona=persona,
        profile=profile,
        slowness=slowness,
        fit=fit,
        recognized=recognized,
        output=output,
        json=json,
    )


def read(data: str, limit: int | None) -> Recordings:
    """The labelled recordings of a folder, or a recipe's by its name."""
    from cvi.bench.recordings.caller_blocks import read_callers
    from cvi.bench.recordings.folders import read_recordings
    from cvi.bench.recordings.labelled_recordings import Recordings

    there = Path(data)
    if there.is_dir() or "/" in data:
        found = read_recordings(there)
    else:
        found = read_callers(data, progress=_tell("making"))
    return Recordings(
        found.turns[:limit], found.dialogues[:limit], found.overlaps[:limit], found.utterances[:limit]
    )


def _tell(doing: str) -> Callable[[str], None]:
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    return lambda name: console.print(f"{doing} {name}", style="dim") if console.is_terminal else None
