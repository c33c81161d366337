"""Running the server: one process, signals, certificate, and one server for each data folder."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cvi.errors import CviError, MissingError, UsageError
from cvi.files import locked
from cvi.paths import home
from cvi.server.settings import ServerSettings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

MOST_FILES = 16_384


def run(settings: ServerSettings, ready: Callable[[str | None], None]) -> None:
    """Serve until told to stop. `ready(key)` is called once requests are answered.

    `key` is an API key made for the occasion, when one is needed and there is none. SIGTERM lets running
    conversations go on for `drain_s`, Ctrl-C ends them now; a second one does not wait for anything.
    Raises `CviError` when the port is taken or the data folder is in use.
    """
    try:
        import uvicorn  # noqa: F401 - told where it is missing

        from cvi.server.app import create_app
        from cvi.server.logs import set_up
    except ImportError as error:
        raise MissingError(
            f"The server needs the package {error.name}, which is not installed.",
            "pip install 'cvi-local[server]'",
        ) from error
    # A second server on the data folder would end the first one's conversations.
    busy = CviError(
        f"Another server uses the data folder {home()}.", "Stop it, or set CVI_HOME to another one."
    )
    with locked(home() / "server.lock", busy):
        key = _first_key(settings.asks_for_keys)
        set_up()
        app = create_app(settings)
        config = server_config(
            app,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
            proxy_headers=bool(settings.public_url),
        )
        _allow_files()
        listening = _listen(settings)
        asyncio.run(_serve(_server(config, app, settings.drain_s, lambda: ready(key)), listening))


def server_config(app: FastAPI, **options: Any) -> uvicorn.Config:
    """How the application is served: limited connections, no WebSockets, nothing told of the server."""
    import uvicorn

    from cvi.server.connections import LimitedHttp

    return uvicorn.Config(
        app,
        http=LimitedHttp,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
        **options,
    )


def _allow_files() -> None:
    """As many open files as the system lets this user have: connections are files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    await server.serve(sockets=[listening])
    if not server.started:
        raise CviError("The server could not start.", "Its log above says why.")


def _server(
    config: uvicorn.Config, app: FastAPI, drain_s: float, ready: Callable[[], None]
) -> uvicorn.Server:
    """A server that drains its rooms before it stops listening, so that participants can still reconnect."""
    import uvicorn

    class Draining(uvicorn.Server):
        emptying: asyncio.Task[None] | None = None

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            self.loop = asyncio.get_running_loop()
            await super().startup(sockets)
            if self.started:
                ready()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            self.loop.call_soon_threadsafe(self._told_to_stop, sig)

        def _told_to_stop(self, sig: int) -> None:
            rooms = app.state.services.rooms
            if self.emptying is not None:
                rooms.hurry()
                return
            wait_s = drain_s if sig == signal.SIGTERM else 0.0
            self.emptying = asyncio.create_task(rooms.drain(wait_s))
            self.emptying.add_done_callback(self._emptied)

        def _emptied(self, done: asyncio.Task[None]) -> None:
            self.should_exit = True

    return Draining(config)


def _listen(settings: ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise CviError(
            f"{settings.host} port {settings.port} cannot be listened on: {error.strerror}.",
            "Choose another one with --port.",
        ) from error
    return listening


def _first_key(wanted: bool) -> str | None:
    """A key where one is `wanted` and there is none. Opens the database in any case: what is wrong with it is
    told here in one line, and in a trace of uvicorn's once the application starts."""
    from cvi.server.store.database import connect, database_path, transact
    from cvi.server.store.keys import create_key, list_keys

    connection = connect(database_path())
    try:
        if not wanted or any(key.revoked_at is None for key in list_keys(connection)):
            return None
        return transact(connection, lambda connection: create_key(connection, "first", time.time()))[1]
    finally:
        connection.close()


def with_certificate(
    settings: ServerSettings, generate: bool, cert: Path | None, key: Path | None
) -> ServerSettings:
    """The settings with HTTPS as asked for. Raises `UsageError`, `CviError`."""
    if (cert is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key belong together.", "Give both.")
    if cert is not None and key is not None:
        for path in (cert, key):
            if not path.is_file():
                raise UsageError(f"There is no file {path}.", "Give a certificate and its key in PEM.")
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise UsageError(
                f"{cert} and {key} are no certificate and its key: {error}.",
                "Give both in PEM, without password.",
            ) from error
        return replace(settings, tls_cert=str(cert), tls_key=str(key))
    if not generate:
        return settings
    from cvi.server.certificate import certificate

    public = urlsplit(settings.public_url).hostname or ""
    made, secret = certificate([settings.host, public])
    return replace(settings, tls_cert=str(made), tls_key=str(secret))


def secret_in(path: Path | None) -> str:
    """What a file holds, blanks around it cut off; "" for no file. Raises `UsageError`."""
    if path is None:
        return ""
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read.", "Give a text file with the secret in it.") from error
    if not secret:
        raise UsageError(f"{path} is empty.", "Write the secret into it.")
    return secret
