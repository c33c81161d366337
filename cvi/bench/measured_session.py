"""One conversation under measurement: a block of callers against one variant, over a real transport.

A variant is the program as it is or as a plain cascade, over one route to it; variants take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.tap import MemorySink, MouthBox, RoomSound, Tap
from cvi.bench.recordings.caller_blocks import CallerBlock
from cvi.bench.remote_peer.call import RemotePeerCall, RemotePeerCost, RemotePeerSpec
from cvi.bench.run import Variant, name_over
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event
from cvi.conversation.history import History
from cvi.conversation.journal import Journal, read_journal
from cvi.conversation.playout import Render
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.testing.network_emulation import NetworkConditions
from cvi.transport.file import FileTransport
from cvi.tts.base import Speech, TtsEngine

# What a plain voice assistant waits before it takes a turn to be over.
CASCADE_SILENCE_S = 0.8
_ABOUT_CASCADE = (
    f"the same engines the plain way: {1000 * CASCADE_SILENCE_S:.0f} ms of silence end a turn; nothing "
    "is drafted or read ahead; a reply is written and spoken to its end before its first sound"
)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CallerRoute:
    """How a caller reaches the system: `transport` is one of `cvi.bench.run.TRANSPORTS`. `film`: keep a film
    of each session too. `network`: what lies between the ends of a network. `camera`: a film of
    the caller."""

    transport: str = "file"
    width: int = 1280
    height: int = 720
    fps: int = 25
    film: bool = True
    network: NetworkConditions | None = None
    camera: Path | None = None


@dataclass(frozen=True, slots=True)
class VariantSetup:
    """One variant of a run before it is measured. `about` says in a sentence what it is; `settings` and
    `layers` change the program's own. `perceives`: the caller is seen and heard as in a conversation."""

    name: str
    about: str
    route: CallerRoute
    settings: Callable[[ConversationSettings], ConversationSettings] = lambda settings: settings
    layers: Callable[[SpeechEngines], SpeechEngines] = lambda layers: layers
    perceives: bool = False


def variant_setups(baseline: str | None, routes: Sequence[CallerRoute]) -> list[VariantSetup]:
    """Ours, and the `baseline` if one is asked for ("cascade"; "unseen": ours, without perception), over each
    route, in the order they are shown. Ours perceives the caller where a route has a camera.

    Over the first route they go by their plain name, over another one by `name_over`.
    """
    assert baseline in (None, "cascade", "unseen"), baseline
    made: list[VariantSetup] = []
    for number, route in enumerate(routes):
        over = ", over WebRTC to another process" if route.transport == "webrtc" else ""
        seen = route.camera is not None
        about = f"as `cvi talk` runs it{over}{', the caller seen by its camera' if seen else ''}"
        plain = [VariantSetup("cvi", about, route, perceives=seen)]
        if baseline == "unseen":
            plain.append(VariantSetup("unseen", f"the same without perception{over}", route))
        elif baseline is not None:
            about = f"{_ABOUT_CASCADE}{over}"
            plain.append(VariantSetup("cascade", about, route, _cascade_settings, _cascade_layers))
        made += (
            [replace(one, name=name_over(one.name, route.transport)) for one in plain] if number else plain
        )
    return made


def interleaved(blocks: Sequence[CallerBlock], variants: Sequence[V]) -> Iterator[tuple[int, CallerBlock, V]]:
    """Each block with each variant, numbered from 1: a, b, then b, a, and so on, so that a machine that
    slows down meanwhile slows down all."""
    for number, block in enumerate(blocks, 1):
        for variant in variants if number % 2 else reversed(variants):
            yield number, block, variant


def unanswered_notes(variant: Variant) -> list[str]:
    """A sentence when turns that wanted an answer got none."""
    wanted = [turn for turn in variant.turns if turn.kind != "backchannel"]
    missing = sum(turn.first_audio_ms is None for turn in wanted)
    return (
        [f"{variant.name}: {missing} of {len(wanted)} turns got no answer of their own."] if missing else []
    )


def _cascade_settings(settings: ConversationSettings) -> ConversationSettings:
    thresholds = replace(
        settings.thresholds,
        least_patience_s=CASCADE_SILENCE_S,
        most_patience_s=CASCADE_SILENCE_S,
    )
    return replace(
        settings,
        speculative=False,
        judge_completeness=False,
        whole_replies=True,
        openers=False,
        thresholds=thresholds,
    )


def _cascade_layers(layers: SpeechEngines) -> SpeechEngines:
    return replace(layers, tts=_WholeVoice(layers.tts))


class _WholeVoice:
    """A voice that gives nothing before it has everything."""

    def __init__(self, inner: TtsEngine) -> None:
        self.name, self.warm, self.close = inner.name, inner.warm, inner.close
        self._inner = inner

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        async with aclosing(self._inner.speak(text)) as stream:  # type: ignore[type-var]
            pieces = [piece async for piece in stream]
        for piece in pieces:
            yield piece


# A turn and its answer take less than this; a conversation that talks to itself must end too.
OPENING_S, LONGEST_TURN_S = 10.0, 25.0


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What a session left: the evidence of what was heard and seen, and the program's own journal to compare
    it with. `files` are recordings.

    Where that was at the far end of a network, `near` is what was recorded at the near one, between the
    conversation and its transport, and `far_cost` what the far end took.
    """

    evidence: Evidence
    events: tuple[Event, ...]
    probe_cpu_s: float
    files: tuple[Path, ...]
    near: Evidence | None = None
    far_cost: RemotePeerCost | None = None


async def hold_session(
    session: str,
    block: CallerBlock,
    setup: VariantSetup,
    settings: ConversationSettings,
    layers: SpeechEngines,
    render: Render,
    mouth: MouthBox,
    folder: Path,
    capabilities: Capabilities | None = None,
) -> SessionRecord:
    """Play a block of callers into a conversation of one variant, in real time; recordings go to `folder`.
    `capabilities` are this conversation's own.

    Raises CviError.
    """
    settings = setup.settings(replace(settings, conversation_id=session, greeting=""))
    layers = setup.layers(layers)
    await _reset(layers, settings)
    clock = Clock()
    film = folder / f"{session}.mp4" if setup.route.film else None
    journal_path = folder / f"{session}.journal.jsonl"
    call = None
    if setup.route.transport == "webrtc":
        call = _remote_call(session, block, setup.route, clock, film, mouth, folder)
        sink = MemorySink(None)
        tap = Tap(call, sink)
    else:
        sink = MemorySink(mouth)
        room = RoomSound(block.room_noise(), block.room.echo_db, block.room.echo_delay_ms)
        tap = Tap(_file_transport(block, setup.route, clock, film), sink, room=room)
    limit_s = OPENING_S + LONGEST_TURN_S * len(block.turns)
    await run_tapped(
        tap,
        settings,
        layers,
        render,
        clock,
        journal_path,
        limit_s,
        "took_too_long",
        capabilities=capabilities,
    )
    events = tuple(read_journal(journal_path))
    cpu_s = tap.cpu_s + sink.cpu_s
    files = (journal_path, *([film] if film else ()))
    if call is None:
        return SessionRecord(sink.evidence(session, tap.fps, tap.zero_s), events, cpu_s, files)
    near = sink.evidence(session, tap.fps, call.zero_s)
    return SessionRecord(call.evidence(), events, cpu_s, files, near, call.cost)


async def run_tapped(
    tap: Tap,
    settings: ConversationSettings,
    layers: SpeechEngines,
    render: Render,
    clock: Clock,
    journal_path: Path,
    limit_s: float,
    reason: str,
    began: Callable[[Conversation], None] = lambda conversation: None,
    capabilities: Capabilities | None = None,
) -> None:
    """Open the tap, hold a conversation over it to its end, in real time, and close the tap.

    After `limit_s` it is ended for `reason`; `began` is called before it runs. Raises CviError, and
    CancelledError for a conversation that was cancelled.
    """
    await tap.open()
    journal = None
    try:
        journal = Journal(journal_path, clock)
        conversation = Conversation(settings, layers, render, tap, journal, clock, capabilities)
        asyncio.get_running_loop().call_later(limit_s, conversation.end, reason)
        began(conversation)
        if await conversation.run() == "cancelled":
            raise asyncio.CancelledError
    finally:
        await tap.close()
        if journal is not None:
            journal.close()


def _file_transport(
    block: CallerBlock, route: CallerRoute, clock: Clock, recording: Path | None
) -> FileTransport:
    """No network between: what is handed over is heard at once."""
    return FileTransport(
        replace(block.scenario, picture=route.camera),
        None,
        clock=clock,
        fps=route.fps,
        width=route.width,
        height=route.height,
        stereo=True,
        wait=True,
        recording=recording,
    )


def _remote_call(
    session: str,
    block: CallerBlock,
    route: CallerRoute,
    clock: Clock,
    recording: Path | None,
    mouth: MouthBox,
    folder: Path,
) -> RemotePeerCall:
    """A connection as rooms have it, to a participant in a process of its own."""
    spec = RemotePeerSpec(
        session=session,
        fps=route.fps,
        size=(route.width, route.height),
        audio=block.scenario.audio,
        segments=block.scenario.segments,
        evidence=(folder / f".{session}.far.npz").absolute(),
        mouth=mouth,
        noise=block.noise,
        echo_db=block.room.echo_db,
        echo_delay_ms=block.room.echo_delay_ms,
    )
    return RemotePeerCall(spec, clock=clock, recording=recording, network=route.network)


async def _reset(layers: SpeechEngines, settings: ConversationSettings) -> None:
    """As at the start of any conversation: nothing heard yet, and the prompt read."""
    layers.vad.reset()
    await layers.llm.warm(History(settings.system, settings.recent_turns, settings.prelude).recent)
