"""`cvi serve`: rooms, API and pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cvi.server.settings import ServerSettings


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8787,
    profile: Annotated[
        str, typer.Option(envvar="CVI_PROFILE", help="auto, embedded, cpu, laptop or workstation.")
    ] = "auto",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Fetch missing models of the profile without asking.")
    ] = False,
    max_conversations: Annotated[
        int | None, typer.Option(help="At most so many at once; else one for every two processors.")
    ] = None,
    public_url: Annotated[
        str, typer.Option(help="The address others reach this server by, behind a proxy for example.")
    ] = "",
    tls: Annotated[
        bool, typer.Option("--tls", help="HTTPS with a certificate made for the purpose.")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="HTTPS with your own certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The key of your own certificate (PEM).")] = None,
    require_key: Annotated[bool, typer.Option("--require-key", help="Ask for an API key even here.")] = False,
    strict_ids: Annotated[
        bool, typer.Option("--strict-ids", help="Refuse unknown ids; no stock face stands for them.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="An origin whose pages may call the API; * for any. Repeatable.")
    ] = None,
    frame_ancestor: Annotated[
        list[str] | None,
        typer.Option(help="An origin that may frame a room; anyone's may when left out. Repeatable."),
    ] = None,
    allow_urls_to: Annotated[
        list[str] | None,
        typer.Option(help="A private host or network that callback URLs may lead to; * for any. Repeatable."),
    ] = None,
    ice_server: Annotated[
        list[str] | None,
        typer.Option(help="STUN or TURN: stun:HOST:PORT, or turn:USER:PASSWORD@HOST:PORT. Repeatable."),
    ] = None,
    turn_secret: Annotated[
        Path | None,
        typer.Option(help="A file with the TURN server's secret: everybody gets a password of their own."),
    ] = None,
    relay_only: Annotated[
        bool, typer.Option("--relay-only", help="Browsers reach it through the TURN server alone.")
    ] = False,
    recording_bucket: Annotated[
        list[str] | None,
        typer.Option(help="An S3 bucket that recordings may be put into; * for any. Repeatable."),
    ] = None,
    brand_name: Annotated[str, typer.Option(help="Stands in the title of rooms.")] = "cvi",
    brand_logo: Annotated[str, typer.Option(help="A picture's address, shown in rooms.")] = "",
    brand_accent: Annotated[str, typer.Option(help="The colour of a room's main buttons: #0a7d6c.")] = "",
    size: Annotated[str, typer.Option(help="Of the picture: WIDTHxHEIGHT.")] = "1280x720",
    fps: Annotated[int, typer.Option(help="Frames per second: 24, 25, 30 or 40.")] = 25,
    rate_limit: Annotated[
        int, typer.Option(min=1, help="Requests a minute that one caller may make.")
    ] = 3000,
    drain: Annotated[
        float, typer.Option(min=0, help="Seconds that running conversations may go on after SIGTERM.")
    ] = 60.0,
) -> None:
    """Serve rooms, the API and webhooks.

    Only this machine can reach it unless told otherwise; from anywhere else every request of the API
    needs a key (`cvi keys create`).
    """
    from cvi.cli.models import profile_of
    from cvi.cli.options import picture_size
    from cvi.server.ice_servers import parse_ice_servers
    from cvi.server.serving import run, secret_in, with_certificate
    from cvi.server.settings import Brand, ServerSettings, Video

    width, height = picture_size(size)
    settings = ServerSettings(
        host=host,
        port=port,
        public_url=public_url,
        profile=profile,
        max_conversations=max_conversations,
        require_key=require_key,
        strict_ids=strict_ids,
        cors_origins=tuple(cors_origin or ()),
        frame_ancestors=tuple(frame_ancestor or ("*",)),
        urls_to=tuple(allow_urls_to or ()),
        ice_servers=parse_ice_servers(ice_server or ()),
        turn_secret=secret_in(turn_secret),
        relay_only=relay_only,
        recording_buckets=tuple(recording_bucket or ()),
        brand=Brand(brand_name, brand_logo, brand_accent),
        video=Video(width, height, fps),
        rate_per_minute=rate_limit,
        drain_s=drain,
    )
    settings = with_certificate(settings, tls, tls_cert, tls_key)
    note = profile_of(profile, yes=yes).note  # so that no conversation waits for a download
    if note:
        typer.echo(note, err=True)
    run(settings, lambda key: _print_links(settings, key))


def _print_links(settings: ServerSettings, key: str | None) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    lines: list[tuple[str, Any]] = [
        ("Playground", f"{settings.url}/playground"),
        ("API", f"{settings.url}/v2"),
        ("Reference", f"{settings.url}/docs"),
    ]
    if key is not None:
        lines.append(("Key", f"{key}   (shown this once; more with: cvi keys create)"))
    elif settings.asks_for_keys:
        lines.append(("Key", "one that `cvi keys list` shows; a new one with: cvi keys create"))
    else:
        lines.append(("Key", "none needed: only this machine can reach the server"))
    for name, value in lines:
        console.print(f"{name:<12}{value}", markup=False)
    console.print("Ctrl-C ends it.", style="dim")
