"""`cvi keys`: who may call the server's API, whose things they reach, and what they did."""

from __future__ import annotations

import time
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="API keys: create, list and revoke them; see what they did.")

Json = Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for; for yourself to read.")] = "key",
    owner: Annotated[
        str, typer.Option(help="Whose things it reaches; owners do not see each other's.")
    ] = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, converse or admin, which includes both; admin when left out. Repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a key and show it, this once: only its digest is kept.

    `read` sees everything of its owner, `converse` holds conversations and sees them, `admin` also changes
    and deletes.
    """
    from cvi.server.store.database import connect, database_path, transact
    from cvi.server.store.keys import SCOPES, create_key

    connection = connect(database_path())
    key, text = transact(
        connection,
        lambda there: create_key(there, name, time.time(), owner=owner, scopes=scope or SCOPES),
    )
    connection.close()
    if json:
        from json import dumps

        shown = {"id": key.id, "name": key.name, "owner": key.owner, "scopes": key.scopes, "key": text}
        typer.echo(dumps(shown, indent=2))
        return
    typer.echo(text)
    typer.echo(
        f"Keep it: it is not shown again. Send it as x-api-key. Revoke it with: cvi keys revoke {key.id}"
    )


@app.command("list")
def list_all(json: Json = False) -> None:
    """Show all keys: whose they are, what they may do, when they were last used; never the whole."""
    from dataclasses import asdict

    from cvi.server.store.database import connect, database_path
    from cvi.server.store.keys import list_keys

    connection = connect(database_path())
    keys = list_keys(connection)
    connection.close()
    if json:
        from json import dumps

        typer.echo(dumps({"keys": [asdict(key) for key in keys]}, indent=2))
        return
    if not keys:
        typer.echo("No keys yet. Make one with: cvi keys create NAME")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "owner", "scopes", "last used", "state"):
        table.add_column(heading, no_wrap=heading in ("id", "last used", "state"))
    for key in keys:
        scopes = "admin" if "admin" in key.scopes else " ".join(key.scopes)
        state = "revoked" if key.revoked_at else "valid"
        table.add_row(key.id, key.name, key.owner, scopes, _when(key.last_used_at), state)
    Console(highlight=False, markup=False).print(table)


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from the list.")]) -> None:
    """Let a key be worth nothing from now on, also to a server that runs."""
    from cvi.server.store.database import connect, database_path, transact
    from cvi.server.store.keys import revoke_key

    connection = connect(database_path())
    transact(connection, lambda there: revoke_key(there, key_id, time.time()))
    connection.close()
    typer.echo(f"{key_id} is revoked.")


@app.command()
def log(
    owner: Annotated[str | None, typer.Option(help="Only what keys of this owner did.")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Only what this key did.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many entries, the newest ones.")] = 50,
    json: Json = False,
) -> None:
    """Show the audit log: who changed what or read a conversation, when and from where; no content."""
    from dataclasses import asdict

    from cvi.server.store import audit
    from cvi.server.store.database import connect, database_path

    connection = connect(database_path())
    entries = audit.list_entries(connection, count, owner, key)
    connection.close()
    if json:
        from json import dumps

        typer.echo(dumps({"entries": [asdict(entry) for entry in entries]}, indent=2))
        return
    if not entries:
        typer.echo("Nothing was changed through the API in the last 90 days.")
    for entry in reversed(entries):
        who = f"{entry.owner}/{entry.key_id or 'no key'}"
        what = f"{entry.action} {entry.target}".rstrip()
        typer.echo(f"{_when(entry.at)}  {who}  {entry.address}  {entry.status}  {what}")


def _when(at: float | None) -> str:
    return "never" if at is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
