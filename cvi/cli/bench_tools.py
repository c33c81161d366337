"""`cvi bench tools`: whether a local model calls the right tools."""

from __future__ import annotations

from typing import Annotated

import typer

from cvi.cli.bench import Json, Output, Profile


def tools(
    development: Annotated[
        bool, typer.Option("--development", help="The requests that the decision was developed on instead.")
    ] = False,
    profile: Profile = "auto",
    model: Annotated[
        str | None, typer.Option(help="A GGUF file or an installed model, instead of the profile's.")
    ] = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Sixty requests over six tools, half of which need none, graded by rules.

    The requests are in cvi/bench/tools.yaml, those of the development in tools_development.yaml.
    """
    from cvi.bench.tools import measure_tools

    measure_tools(development=development, profile=profile, model=model, output=output, json=json)
