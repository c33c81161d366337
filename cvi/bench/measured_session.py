"""One conversation under measurement: a block of callers against one variant, over a real transport."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from cvi.bench.callers.blocks import CallerBlock
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.tap import MemorySink, MouthBox, RoomSound, Tap
from cvi.bench.remote_peer.call import RemotePeerCall, RemotePeerCost, RemotePeerSpec
from cvi.bench.variants import CallerRoute, VariantSetup
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event
from cvi.conversation.history import History
from cvi.conversation.journal import Journal, read_journal
from cvi.conversation.playout import Render
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.transport.file import FileTransport

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
) -> SessionRecord:
    """Play a block of callers into a conversation of one variant, in real time; recordings go to `folder`.

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
    await tap.open()
    journal = None
    try:
        journal = Journal(journal_path, clock)
        conversation = Conversation(settings, layers, render, tap, journal, clock)
        limit_s = OPENING_S + LONGEST_TURN_S * len(block.turns)
        asyncio.get_running_loop().call_later(limit_s, conversation.end, "took_too_long")
        if await conversation.run() == "cancelled":
            raise asyncio.CancelledError
    finally:
        await tap.close()
        if journal is not None:
            journal.close()
    events = tuple(read_journal(journal_path))
    cpu_s = tap.cpu_s + sink.cpu_s
    files = (journal_path, *([film] if film else ()))
    if call is None:
        return SessionRecord(sink.evidence(session, tap.fps, tap.zero_s), events, cpu_s, files)
    near = sink.evidence(session, tap.fps, call.zero_s)
    return SessionRecord(call.evidence(), events, cpu_s, files, near, call.cost)


def _file_transport(
    block: CallerBlock, route: CallerRoute, clock: Clock, recording: Path | None
) -> FileTransport:
    """No network between: what is handed over is heard at once."""
    return FileTransport(
        block.scenario,
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
