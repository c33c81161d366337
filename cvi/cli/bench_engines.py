"""`cvi bench stt`, `llm`, `tts`, `face`, `lips`, `answers` and `replica`: one engine at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.bench import Json, Output, Profile
from cvi.cli.bench_layers import Data, Limit, Persona, read

Engine = Annotated[str | None, typer.Option(help="Another engine than the profile's.")]
Model = Annotated[str | None, typer.Option(help="Another model: a path, or a name the engine knows.")]


def stt(
    data: Data = "standard",
    persona: Persona = "guide",
    profile: Profile = "auto",
    engine: Engine = None,
    model: Model = None,
    language: Annotated[str, typer.Option(help="Two letters.")] = "en",
    limit: Limit = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Word error rate, how late the final text comes, and how much is computed for a second of speech."""
    from cvi.bench.layers.measurement import EngineRequest
    from cvi.bench.layers.stt import measure_stt

    request = EngineRequest(persona, profile, engine, model)
    found = read(data, limit)
    measure_stt(found, request, data=data, language=language, output=output, json=json)


def llm(
    persona: Persona = "guide",
    profile: Profile = "auto",
    engine: Engine = None,
    model: Model = None,
    rounds: Annotated[int, typer.Option(min=2, help="Turns, and prompts never seen.")] = 10,
    threads: Annotated[list[int] | None, typer.Option(help="Threads; may be given again.")] = None,
    busy: Annotated[
        list[int] | None, typer.Option(help="Cores that others keep busy meanwhile; may be given again.")
    ] = None,
    endings: Annotated[
        Path | None, typer.Option(help="Complete and broken turns, tab-separated; else the checkout's own.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """First words cold and warm, pieces a second, and how well and how fast it judges a turn's end."""
    from cvi.bench.layers.engine_speed import measure_llm
    from cvi.bench.layers.measurement import EngineRequest

    measure_llm(
        EngineRequest(persona, profile, engine, model),
        rounds=rounds,
        threads=threads or [],
        busy=busy or [],
        endings=endings,
        output=output,
        json=json,
    )


def tts(
    persona: Persona = "guide",
    profile: Profile = "auto",
    engine: Engine = None,
    model: Model = None,
    voice: Annotated[list[str] | None, typer.Option(help="A voice's name; may be given again.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each sentence is spoken.")] = 5,
    output: Output = None,
    json: Json = False,
) -> None:
    """First sound, and time to make a sentence against its length, for each voice."""
    from cvi.bench.layers.engine_speed import measure_tts
    from cvi.bench.layers.measurement import EngineRequest

    request = EngineRequest(persona, profile, engine, model)
    measure_tts(request, voices=voice or [], rounds=rounds, output=output, json=json)


def face(
    replica: Annotated[
        list[str] | None, typer.Option(help="A replica's name or folder; may be given again.")
    ] = None,
    engine: Engine = None,
    size: Annotated[list[str] | None, typer.Option(help="WIDTHxHEIGHT; may be given again.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of idling, and of speaking, at each size.")] = 10.0,
    output: Output = None,
    json: Json = False,
) -> None:
    """Milliseconds a frame by size, idle and speaking: drawing and H.264 apart; memory."""
    from cvi.bench.layers.face import measure_face

    sizes = size or ["640x360", "1280x720", "1920x1080"]
    measure_face(replica or ["june"], engine=engine, sizes=sizes, seconds=seconds, output=output, json=json)


def lips(
    replica: Annotated[list[str] | None, typer.Option(help="A replica; may be given again.")] = None,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT.")] = "1280x720",
    seconds: Annotated[float, typer.Option(min=5, max=600, help="Of speech.")] = 60.0,
    drift: Annotated[
        float | None,
        typer.Option(min=60, max=10800, help="Instead: does a film of so many seconds drift?"),
    ] = None,
    film: Annotated[
        list[Path] | None,
        typer.Option(help="Instead: how far the face in this film moves a frame; may be given again."),
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for the record.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the record for machines.")] = False,
) -> None:
    """Lips against what was asked, closure on P, B, M, stillness at rest, picture against sound.

    With --drift every time stamp of a long film is read, and the lips of its first and last minute. With
    --film the same reader looks at a film of anybody. Needs the face mesh (`cvi replica setup`) and the
    flite voice.
    """
    from rich.console import Console

    from cvi.bench.layers.landmarks import measure_film
    from cvi.bench.layers.lips import measure_drift, measure_lips
    from cvi.bench.layers.measurement import finish
    from cvi.bench.run_store import RunRecorder
    from cvi.cli.options import picture_size
    from cvi.errors import UsageError
    from cvi.face.base import FaceSettings
    from cvi.face.replica import find_replica, load_replica_card

    width, height = picture_size(size)
    if film and (drift is not None or replica):
        raise UsageError("--film looks at a film as it is.", "Leave out --replica and --drift.")
    cards = [] if film else [load_replica_card(find_replica(name)) for name in replica or ["june"]]
    faces = [(FaceSettings(card.folder, width, height), card.renderer) for card in cards]
    options = {"size": size, "seconds": seconds if drift is None else drift}
    recorder = RunRecorder("lips", options, output=output)
    with Console(stderr=True, quiet=json).status("") as status:
        variants = [measure_film(path, seconds) for path in film or ()]
        for face, engine in faces:
            if drift is None:
                variants.append(measure_lips(face, engine, seconds, status.update))
            else:
                variants.append(measure_drift(face, engine, drift, status.update))
    finish(recorder, variants, json)


def answers(
    persona: Annotated[
        list[str] | None, typer.Option(help="Ask this one only; may be given again. Else all six.")
    ] = None,
    profile: Profile = "auto",
    answers: Annotated[
        Path | None,
        typer.Option(help="Grade these answers and ask nothing: a file like a run's answers.json."),
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Sixty questions to six personas in typed conversations, graded by rules that anyone can check.

    The questions and rules are in cvi/bench/answers.yaml.
    """
    from cvi.bench.answers import measure_answers

    measure_answers(persona or [], profile=profile, answers=answers, output=output, json=json)


def replica(
    name: Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A trained replica.")],
    footage: Annotated[Path | None, typer.Option(help="The film, where it has been moved since.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The report to write, .html.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Measure a trained replica again: pasted back into the held-out frames, and speaking in its own loop."""
    from rich.console import Console
    from rich.progress import Progress

    from cvi.cli.train_replica import print_result
    from cvi.face.replica import find_replica
    from cvi.files import write_bytes
    from cvi.training.evaluation.quality_report import report_page
    from cvi.training.evaluation.repeat import evaluate_again
    from cvi.training.pipeline import TrainedReplica

    console = Console(stderr=True, quiet=json)
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("measuring", total=None)
        evaluation = evaluate_again(
            name, footage, lambda done, of: bar.update(task, completed=done, total=of)
        )
    folder = find_replica(name)
    if output is not None:
        write_bytes(output, report_page(folder.name, {"measured": "again"}, evaluation).encode())
    print_result(TrainedReplica(folder, evaluation), json)
