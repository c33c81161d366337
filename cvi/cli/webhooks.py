"""`cvi webhooks`: what the server has told others, and what waits to be told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

if TYPE_CHECKING:
    import sqlite3

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Webhooks: see, send again and receive them.")

Json = Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")]
MessageId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, from the list.")]


@app.command("list")
def list_all(
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    conversation: Annotated[str | None, typer.Option(help="Only those of this conversation.")] = None,
    state: Annotated[
        Literal["waiting", "delivered", "given_up"] | None, typer.Option(help="Only those in this state.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the newest webhooks, how often they were tried and what came of it."""
    from dataclasses import asdict

    from cvi.server.jobs.webhook_delivery import list_webhooks

    messages = _with_store(lambda there: list_webhooks(there, limit, conversation, state))
    if json:
        from json import dumps

        typer.echo(dumps({"webhooks": [asdict(message) for message in messages]}, indent=2))
        return
    if not messages:
        typer.echo("No webhooks. A conversation with a callback_url sends them.")
        return
    for message in messages:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(message.created_at))
        tries = f"{message.attempts} {'try' if message.attempts == 1 else 'tries'}"
        typer.echo(f"{message.id}  {when}  {message.state.replace('_', ' '):<9}  {tries}")
        typer.echo(f"  {message.event_type} of {message.stream}")
        if message.last_answer:
            typer.echo(f"  last answer: {message.last_answer[:60]}")


@app.command()
def show(message_id: MessageId) -> None:
    """Show one webhook with its body, as JSON."""
    from dataclasses import asdict
    from json import dumps, loads

    from cvi.server.jobs.webhook_delivery import find_webhook

    message = _with_store(lambda there: find_webhook(there, message_id))
    typer.echo(dumps({**asdict(message), "body": loads(message.body)}, indent=2, ensure_ascii=False))


@app.command()
def resend(message_id: MessageId) -> None:
    """Send a webhook once more, with the id it had; a running server does it within seconds."""
    from cvi.server.jobs.webhook_delivery import resend_webhook
    from cvi.server.store.database import transact

    _with_store(lambda there: transact(there, lambda inside: resend_webhook(inside, message_id, time.time())))
    typer.echo(f"{message_id} is sent again as soon as the server runs.")


@app.command()
def secret(
    owner: Annotated[str, typer.Option(help="Of a server with keys: whose webhooks.")] = "default",
) -> None:
    """Print the secret that an owner's webhooks are signed with (Standard Webhooks, `whsec_…`)."""
    from cvi.server.jobs.webhook_delivery import webhook_secret
    from cvi.server.store.database import transact

    typer.echo(_with_store(lambda there: transact(there, lambda inside: webhook_secret(inside, owner))))


@app.command()
def listen(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 9787,
    json: Json = False,
) -> None:
    """Receive webhooks on this machine, check their signatures and print them, until Ctrl-C.

    Start the server with `--allow-urls-to 127.0.0.1`, and give conversations the printed address as
    their callback_url.
    """
    from cvi.cli.webhook_receiver import receive
    from cvi.server.jobs.webhook_delivery import webhook_secret
    from cvi.server.store.database import transact

    receive(port, _with_store(lambda there: transact(there, webhook_secret)), json)


def _with_store(work: Callable[[sqlite3.Connection], T]) -> T:
    from cvi.server.store.database import connect, database_path

    connection = connect(database_path())
    try:
        return work(connection)
    finally:
        connection.close()
