"""`cvi bench guardrails` and `cvi bench objectives`: how well a persona is kept within its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.bench import Json, Output, Profile


def guardrails(
    development: Annotated[
        bool, typer.Option("--development", help="Thresholds, by cross-validation on the families, instead.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """330 sentences: are those stopped that are to be, and no others, and what does it cost before each.

    The sentences are in cvi/bench/guardrails.yaml. No model but the sentence embedder is run.
    """
    from cvi.bench.guardrails import measure_guardrails

    measure_guardrails(development=development, output=output, json=json)


def objectives(
    interview: Annotated[
        list[int] | None, typer.Option(help="Hold this one only, from 1 to 30; may be given again.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="<file>", help="Keep what is taken down here; a run that was stopped goes on."),
    ] = None,
    profile: Profile = "auto",
    output: Output = None,
    json: Json = False,
) -> None:
    """Thirty scripted interviews of five slots: is what was said taken down, and nothing invented.

    The interviews are in cvi/bench/objectives.yaml.
    """
    from cvi.bench.objectives import measure_objectives

    measure_objectives(profile=profile, only=interview or [], kept=keep, output=output, json=json)
