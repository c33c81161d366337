"""`cvi bench answers`: how well a language model answers as the shipped personas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.bench import Json, Output, Profile


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
