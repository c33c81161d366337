"""`cvi serve`: rooms, API and pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cvi.cli.talk import Fps, Profile, Size, Yes

if TYPE_CHECKING:
    from cvi.server.settings import ServerSettings, Video


Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")]
MaxConversations = Annotated[
    int | None, typer.Option(help="At most so many at once; else one for every two processors.")
]
PublicUrl = Annotated[
    str, typer.Option(help="The address others reach this server by, behind a proxy for example.")
]
Tls = Annotated[bool, typer.Option("--tls", help="HTTPS with a certificate made for the purpose.")]
TlsCert = Annotated[Path | None, typer.Option(help="HTTPS with your own certificate (PEM).")]
TlsKey = Annotated[Path | None, typer.Option(help="The key of your own certificate (PEM).")]
RequireKey = Annotated[bool, typer.Option("--require-key", help="Ask for an API key even here.")]
StrictIds = Annotated[
    bool, typer.Option("--strict-ids", help="Refuse unknown ids; no stock face stands for them.")
]
CorsOrigin = Annotated[
    list[str] | None, typer.Option(help="An origin whose pages may call the API; * for any. Repeatable.")
]
FrameAncestor = Annotated[
    list[str] | None,
    typer.Option(help="An origin that may frame a room; anyone's may when left out. Repeatable."),
]
AllowUrlsTo = Annotated[
    list[str] | None,
    typer.Option(help="A private host or network that callback URLs may lead to; * for any. Repeatable."),
]
AllowToolModule = Annotated[
    list[str] | None,
    typer.Option(help="A Python module whose functions personas may have as tools. Repeatable."),
]
AllowMcpCommands = Annotated[
    bool, typer.Option("--allow-mcp-commands", help="Personas may start MCP servers as programs.")
]
IceServer = Annotated[
    list[str] | None,
    typer.Option(help="STUN or TURN: stun:HOST:PORT, or turn:USER:PASSWORD@HOST:PORT. Repeatable."),
]
TurnSecret = Annotated[
    Path | None,
    typer.Option(help="A file with the TURN server's secret: everybody gets a password of their own."),
]
RelayOnly = Annotated[
    bool, typer.Option("--relay-only", help="Browsers reach it through the TURN server alone.")
]
RecordingBucket = Annotated[
    list[str] | None,
    typer.Option(help="An S3 bucket that recordings may be put into; * for any. Repeatable."),
]
BrandName = Annotated[str, typer.Option(help="Stands in the title of rooms.")]
BrandLogo = Annotated[str, typer.Option(help="A picture's address, shown in rooms.")]
BrandAccent = Annotated[str, typer.Option(help="The colour of a room's main buttons: #0a7d6c.")]
RateLimit = Annotated[int, typer.Option(min=1, help="Requests a minute that one caller may make.")]
Drain = Annotated[
    float, typer.Option(min=0, help="Seconds that running conversations may go on after SIGTERM.")
]


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8787,
    profile: Profile = "auto",
    yes: Yes = False,
    max_conversations: MaxConversations = None,
    public_url: PublicUrl = "",
    tls: Tls = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    require_key: RequireKey = False,
    strict_ids: StrictIds = False,
    cors_origin: CorsOrigin = None,
    frame_ancestor: FrameAncestor = None,
    allow_urls_to: AllowUrlsTo = None,
    allow_tool_module: AllowToolModule = None,
    allow_mcp_commands: AllowMcpCommands = False,
    ice_server: IceServer = None,
    turn_secret: TurnSecret = None,
    relay_only: RelayOnly = False,
    recording_bucket: RecordingBucket = None,
    brand_name: BrandName = "cvi",
    brand_logo: BrandLogo = "",
    brand_accent: BrandAccent = "",
    size: Size = "1280x720",
    fps: Fps = 25,
    rate_limit: RateLimit = 3000,
    drain: Drain = 60.0,
) -> None:
    """Serve rooms, the API and webhooks.

    Only this machine reaches it by default; from elsewhere the API asks for a key (`cvi keys create`).
    """
    from cvi.server.ice_servers import parse_ice_servers
    from cvi.server.serving import secret_in, with_certificate
    from cvi.server.settings import Brand, ServerSettings

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
        tool_modules=tuple(allow_tool_module or ()),
        mcp_commands=allow_mcp_commands,
        ice_servers=parse_ice_servers(ice_server or ()),
        turn_secret=secret_in(turn_secret),
        relay_only=relay_only,
        recording_buckets=tuple(recording_bucket or ()),
        brand=Brand(brand_name, brand_logo, brand_accent),
        video=_video(size, fps),
        rate_per_minute=rate_limit,
        drain_s=drain,
    )
    _run(with_certificate(settings, tls, tls_cert, tls_key), yes)


def _video(size: str, fps: int) -> Video:
    from cvi.cli.options import picture_size
    from cvi.server.settings import Video

    return Video(*picture_size(size), fps)


def _run(settings: ServerSettings, yes: bool) -> None:
    from cvi.cli.models import profile_of
    from cvi.server.serving import run

    note = profile_of(settings.profile, yes=yes).note  # so that no conversation waits for a download
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
