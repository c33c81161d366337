"""`cvi bench knowledge`: what is found, how fast, and what a model makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cvi.cli.bench import Json, Output, Profile


def knowledge(
    part: Annotated[str, typer.Option(help="graded, or development: where the gate was fitted.")] = "graded",
    more: Annotated[
        list[str] | None,
        typer.Option(help="Index this file or folder too, as a distraction; may be repeated."),
    ] = None,
    beir: Annotated[Path | None, typer.Option(help="A public set in BEIR's format instead.")] = None,
    calibrate: Annotated[bool, typer.Option("--calibrate", help="Also fit the gate on this set.")] = False,
    speed: Annotated[
        bool, typer.Option("--speed", help="Also time 10,000 passages and many vectors.")
    ] = False,
    vectors: Annotated[int, typer.Option(min=1000, help="How many vectors, with --speed.")] = 1_000_000,
    pages: Annotated[
        int, typer.Option(min=0, help="Also index a PDF of so many pages; 1,000 take some minutes.")
    ] = 0,
    grounded: Annotated[
        bool,
        typer.Option(
            "--grounded", help="Also ask the language model 60 questions with and 30 without answer."
        ),
    ] = False,
    kept: Annotated[
        Path | None,
        typer.Option(help="With --grounded: keep the model's replies in this file, and go on from it."),
    ] = None,
    profile: Profile = "auto",
    output: Output = None,
    json: Json = False,
) -> None:
    """228 questions to 22 documents in nine formats and seven languages: hybrid, words alone, meaning alone.

    The documents and questions are in cvi/bench/knowledge.
    """
    from cvi.bench.knowledge.measure import check_options, measure_knowledge

    check_options(part, beir, grounded)
    measure_knowledge(
        part=part,
        beir=beir,
        calibrate=calibrate,
        grounded=grounded,
        kept=kept,
        speed=speed,
        vectors=vectors,
        pages=pages,
        profile=profile,
        more=more or (),
        output=output,
        json=json,
    )
