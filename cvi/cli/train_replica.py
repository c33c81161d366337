"""`cvi train-replica`: footage of a person -> a replica that talks."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cvi.training.pipeline import TrainedReplica, TrainingRequest
    from cvi.training.stages import Stage


def train_replica(
    video: Annotated[
        Path, typer.Argument(metavar="VIDEO|PHOTO", help="One to five minutes of one person, or one photo.")
    ],
    name: Annotated[str, typer.Option(help="What the replica is called.")],
    consent: Annotated[
        str, typer.Option(metavar="VIDEO|TEXT", help="The person's consent: a film of it, or the words.")
    ],
    consent_by: Annotated[str | None, typer.Option(help="Who agrees, where the consent is a film.")] = None,
    script: Annotated[Path | None, typer.Option(help="What was read, as text: sharper lips.")] = None,
    quality: Annotated[str, typer.Option(help="tiny, standard or high.")] = "standard",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    minutes: Annotated[float | None, typer.Option(min=0.05, max=10_000, help="Of training.")] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Of training: the same steps, the same replica.")
    ] = None,
    hold_out: Annotated[
        float | None, typer.Option(min=0, max=120, help="Seconds at the end kept for measuring.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Of the processor.")] = 1,
    anyway: Annotated[bool, typer.Option("--anyway", help="Even with footage graded unusable.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Another number, another replica.")] = 0,
    glasses: Annotated[
        bool, typer.Option("--glasses", help="With a photo: the person wears glasses, which must not bend.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Train a replica of a person from footage of them. Stopped, the same command goes on.

    Of a single photo a replica is made at once: it talks, blinks and smiles a little.
    """
    from cvi.errors import UsageError
    from cvi.models.installed import installed_speech_encoder
    from cvi.training.photo.photo_replica import is_photo
    from cvi.training.pipeline import TrainingRequest

    if is_photo(video):
        unused = {"--script": script, "--minutes": minutes, "--steps": steps, "--hold-out": hold_out}
        _make_of_photo(video, name, consent, consent_by, glasses, {**unused, "--anyway": anyway}, json)
        return
    if glasses:
        raise UsageError("--glasses is for photos.", "Footage shows how they move.")
    request = TrainingRequest(
        video=video,
        name=name,
        consent=consent,
        consent_by=consent_by,
        quality=quality,
        device=device,
        minutes=minutes,
        steps=steps,
        held_out_s=hold_out,
        script=script,
        seed=seed,
        threads=threads,
        anyway=anyway,
        encoder=installed_speech_encoder(),
    )
    print_result(run(request, quiet=json), json)


def _make_of_photo(
    photo: Path,
    name: str,
    consent: str,
    consent_by: str | None,
    glasses: bool,
    unused: dict[str, object],
    json: bool,
) -> None:
    """Make a replica of one photo and print where it is and its limits; refuses the options in `unused`."""
    from rich.console import Console

    from cvi.training.photo.photo_replica import (
        LIMITS,
        PhotoRequest,
        make_photo_replica,
        refuse_training_options,
    )

    refuse_training_options(unused)
    with Console(stderr=True, quiet=json).status("finding the face"):
        replica = make_photo_replica(PhotoRequest(photo, name, consent, consent_by, glasses=glasses))
    if json:
        document = {"path": str(replica.folder), "notes": list(replica.notes), "limits": LIMITS}
        typer.echo(jsonlib.dumps(document, indent=2, ensure_ascii=False))
        return
    typer.echo(str(replica.folder))
    typer.echo(f"A replica of one photo. {LIMITS}")
    for note in replica.notes:
        typer.echo(f"Mind: {note}.")


def run(request: TrainingRequest, quiet: bool) -> TrainedReplica:
    """Train with a progress bar. Ctrl-C and SIGTERM stop between two steps with everything kept; exits with
    130."""
    import signal

    from rich.console import Console

    from cvi.cli.stages import Stages
    from cvi.paths import home
    from cvi.training.model.checkpoint import PREVIEW
    from cvi.training.pipeline import train_replica
    from cvi.training.stages import STAGES

    stopped = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    console = Console(stderr=True, quiet=quiet)
    stages = Stages(console)

    def progress(stage: Stage, done: int, of: int, note: str) -> None:
        if stages.show(STAGES[stage][0], done, of, note) and stage == "train":
            console.print(f"How it looks: {home() / 'training' / request.name / PREVIEW}")
        if stopped and stage != "train":
            raise KeyboardInterrupt

    try:
        trained = train_replica(request, progress, lambda: stopped)
    except KeyboardInterrupt:
        trained = None
    finally:
        stages.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    if trained is None:
        console.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130)
    return trained


def print_result(trained: TrainedReplica, json: bool) -> None:
    """Print the figures, the replica's folder and the report's path."""
    from cvi.training.evaluation.quality_report import rows
    from cvi.training.pipeline import REPORT

    figures = {} if trained.evaluation is None else trained.evaluation.figures
    if json:
        document = {"path": str(trained.folder), "figures": figures}
        typer.echo(jsonlib.dumps(document, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("mode", "measure", "result", "target", ""):
        table.add_column(heading, justify="right" if heading == "result" else "left")
    for measure, value in rows(figures):
        verdict = {True: "reached", False: "not reached", None: ""}[measure.met(value)]
        table.add_row(measure.mode, measure.label, f"{value:.{measure.digits}f}", measure.target, verdict)
    if figures:
        Console(highlight=False, markup=False).print(table)
    typer.echo(str(trained.folder))
    if (trained.folder / REPORT).is_file():
        typer.echo(f"Report: {trained.folder / REPORT}")
