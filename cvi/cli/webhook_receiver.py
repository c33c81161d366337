"""The receiver behind `cvi webhooks listen`."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from typing import Any

import typer

from cvi.client.client import WebhookError, verify
from cvi.errors import CviError

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
