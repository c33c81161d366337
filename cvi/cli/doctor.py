"""`cvi doctor` and `cvi devices`: what works on this machine, and what can be used to talk with."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Tell what works on this machine, what does not, and the command that mends it.

    Exit status 1 when the embedded profile cannot run.
    """
    from cvi.models.checks import embedded_runs, run_checks

    checks = run_checks()
    runs = embedded_runs(checks)
    if json:
        import json as codec
        from dataclasses import asdict

        lines = [asdict(check) for check in checks]
        typer.echo(codec.dumps({"embedded_runs": runs, "checks": lines}, indent=2))
    else:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(highlight=False)
        colours = {"ok": "green", "missing": "yellow", "broken": "red"}
        table = Table(box=None, show_header=False, pad_edge=False)
        for check in checks:
            detail = Text(check.detail)
            if check.remedy:
                detail.append(f"\n-> {check.remedy}", style="cyan")
            # What the embedded profile needs is red when it is not there; the rest is a matter of choice.
            colour = "red" if check.required and check.status != "ok" else colours[check.status]
            table.add_row(Text(check.status, style=colour), check.area, check.name, detail)
        console.print(table)
        console.print(
            "\nThe embedded profile runs on this machine."
            if runs
            else "\nThe embedded profile cannot run on this machine yet: mend the lines in red."
        )
    if not runs:
        raise typer.Exit(1)


def devices(
    json: Annotated[bool, typer.Option("--json", help="Print for machines.")] = False,
) -> None:
    """List microphones, loudspeakers, cameras and the display."""
    from cvi.transport.devices import FoundDevice, inventory

    found = inventory()
    if json:
        from dataclasses import asdict
        from json import dumps

        typer.echo(dumps(asdict(found), indent=2))
        return

    def show(title: str, option: str, those: tuple[FoundDevice, ...]) -> None:
        typer.echo(f"{title} ({option})" if those else f"{title}: none")
        for device in those:
            typer.echo(f"  {device.number:3d}  {device.name}{'  (default)' if device.default else ''}")

    show("Microphones", "--microphone NUMBER", found.microphones)
    show("Loudspeakers", "--speaker NUMBER", found.speakers)
    if found.sound_problem:
        typer.echo(f"  {found.sound_problem}")
    show("Cameras", "--camera NUMBER", found.cameras)
    typer.echo(f"Display: {found.display}" if found.display else "Display: none (use --no-window)")
