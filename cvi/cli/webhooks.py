"""`cvi webhooks`: what the server has told others, what waits to be told, and a receiver to try it."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from cvi.client.client import WebhookError, verify
from cvi.errors import CviError

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


MOST_BYTES = 16 << 20


def event_lines(event: dict[str, Any], message_id: str) -> tuple[str, str]:
    """An event in two lines. Those of replicas and films have no envelope: they are printed whole."""
    if "event_type" in event:
        head, details = f"{event.get('timestamp')}  {event['event_type']}", event.get("properties", {})
    else:
        kind = next((noun for noun in ("replica", "video") if f"{noun}_id" in event), "event")
        head, details = f"{kind}  {event.get('status', '')}", event
    text = dumps(details, ensure_ascii=False)
    return f"{head}  {message_id}", f"    {text if len(text) < 2000 else text[:2000] + ' …'}"


def receive(port: int, secret: str, json: bool) -> None:
    """Print webhooks until Ctrl-C. Raises `CviError` when the port is taken."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("content-length", "")
            if not length.isdigit() or int(length) > MOST_BYTES:
                self._answer(413)
                return
            body = self.rfile.read(int(length))
            try:
                message_id = verify(secret, dict(self.headers.items()), body, time.time())
                event = loads(body)
            except (WebhookError, ValueError) as error:
                typer.echo(f"refused: {error}", err=True)
                self._answer(401)
                return
            self._answer(204)
            if json:
                typer.echo(dumps({"webhook_id": message_id, **event}, ensure_ascii=False))
            else:
                for line in event_lines(event, message_id):
                    typer.echo(line)

        def _answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:
            """What was received is printed; the request line says nothing more."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    except OSError as error:
        message = f"Port {port} cannot be listened on: {error.strerror}."
        raise CviError(message, "Choose another --port.") from error
    typer.echo(f"Listening on http://127.0.0.1:{port}/  (Ctrl-C ends it)", err=True)
    with server:
        server.serve_forever()
