"""`cvi devices`: what can be used to talk with."""

from __future__ import annotations

from typing import Annotated

import typer


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
