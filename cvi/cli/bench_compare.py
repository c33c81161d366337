"""`cvi bench compare`: two runs compared."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[Path, typer.Argument(help="A run's folder: what is compared against.")],
    b: Annotated[Path, typer.Argument(help="The other run's folder.")],
    variants: Annotated[
        str | None,
        typer.Option(
            "--sides", help="A side of each, as A:B (for example cascade:cvi); else those of equal name."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Whether B differs from A: ratios of medians with 95 % intervals.

    The exit status is 0 whatever is found; 2 when the runs cannot be compared.
    """
    from rich.console import Console

    from cvi.bench.compare import compare_runs
    from cvi.bench.run_store import as_json, load_run
    from cvi.bench.tables import print_comparison

    found = compare_runs(load_run(a), load_run(b), _variants(variants))
    if json:
        rows = [{**as_json(row), "real": row.comparison.real} for row in found.rows]
        typer.echo(dumps({**as_json(found), "rows": rows}, indent=2, ensure_ascii=False))
    else:
        print_comparison(found, Console(highlight=False))


def _variants(text: str | None) -> tuple[str, str] | None:
    from cvi.errors import UsageError

    if text is None:
        return None
    left, colon, right = text.partition(":")
    if not (left and colon and right):
        raise UsageError(f"--sides {text} does not name two variants.", "Write A:B, e.g. cascade:cvi.")
    return left, right
