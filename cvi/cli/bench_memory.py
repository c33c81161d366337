"""`cvi bench memory`: whether what is said in one conversation is known in the next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.bench import Json, Output, Profile


def memory(
    profile: Profile = "auto",
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="So many dialogues, spread over all.")
    ] = None,
    kept: Annotated[
        Path | None, typer.Option(help="Keep the model's answers in this file, and go on from it.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Fifty pairs of typed conversations: something is told in the first and asked for in the second.

    The dialogues are in cvi/bench/memory.yaml; answers are graded by rules.
    """
    from cvi.bench.memory import measure_memory

    measure_memory(profile=profile, count=count, kept=kept, output=output, json=json)
