"""`cvi bench replica`: how good a trained replica is, on seconds it never learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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
