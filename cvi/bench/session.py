"""One conversation under measurement: a block of callers against one side, over a real transport."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from cvi.bench.callers.block import CallerBlock
from cvi.bench.probe.evidence import Evidence
from cvi.bench.probe.tap import MouthBox, RoomSound, Tap
from cvi.bench.remote_peer.call import RemotePeerCall, RemotePeerCost
from cvi.bench.remote_peer.network_emulation import NetworkConditions
from cvi.bench.remote_peer.spec import RemotePeerSpec
from cvi.bench.variants import Policy
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import Event
from cvi.conversation.history import History
from cvi.conversation.journal import Journal, read_journal
from cvi.conversation.playout import Render
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.media.decode import read_audio
from cvi.transport.base import Transport
from cvi.transport.scenario import Scenario, load_scenario

TRANSPORTS = ("file", "webrtc")
# A turn and its answer take less than this; a conversation that talks to itself must not go on for ever.
OPENING_S, LONGEST_TURN_S = 10.0, 25.0


@dataclass(frozen=True, slots=True)
class Way:
    """How a caller reaches the system: one of TRANSPORTS. `film`: keep a film of each session too.
    `weather`: what lies between the ends of a network."""

    transport: str = "file"
    width: int = 1280
    height: int = 720
    fps: int = 25
    film: bool = True
    weather: NetworkConditions | None = None

    def file(self, scenario: Scenario, clock: Clock, recording: Path) -> Transport:
        """The caller's sound on this side of every network; what is handed over is heard at once."""
        from cvi.transport.file import FileTransport

        return FileTransport(
            scenario,
            None,
            clock=clock,
            fps=self.fps,
            width=self.width,
            height=self.height,
            stereo=True,
            wait=True,
            recording=recording if self.film else None,
        )

    def call(
        self,
        session: str,
        block: CallerBlock,
        scenario: Scenario,
        clock: Clock,
        recording: Path,
        box: MouthBox | None,
    ) -> RemotePeerCall:
        """A connection as rooms have it, to a participant in a process of its own."""
        spec = RemotePeerSpec(
            session=session,
            fps=self.fps,
            size=(self.width, self.height),
            audio=scenario.audio,
            segments=scenario.segments,
            evidence=recording.with_name(f".{session}.far.npz").absolute(),
            mouth=box,
            bed=block.bed,
            echo_db=block.room.echo_db,
            echo_delay_ms=block.room.echo_delay_ms,
        )
        film = recording if self.film else None
        return RemotePeerCall(spec, clock=clock, recording=film, weather=self.weather)


@dataclass(frozen=True, slots=True)
class Held:
    """What a session left: the evidence at ear and eye, and the program's own journal to compare it with.

    Where ear and eye are at the far end of a network, `seam` is what was taken down at the near one, between
    the conversation and its transport, and `far` what the far end took.
    """

    evidence: Evidence
    events: tuple[Event, ...]
    probe_cpu_s: float
    files: tuple[Path, ...]
    seam: Evidence | None = None
    far: RemotePeerCost | None = None


async def hold(
    session: str,
    block: CallerBlock,
    policy: Policy,
    settings: ConversationSettings,
    layers: SpeechEngines,
    render: Render,
    way: Way,
    mouth: MouthBox | None,
    folder: Path,
) -> Held:
    """Play a block of callers into a conversation of one side, in real time; all of it is kept in `folder`.

    Raises CviError.
    """
    scenario = load_scenario(block.scenario)
    scenario = replace(scenario, segments=scenario.segments[: len(block.turns)])
    settings = policy.settings(replace(settings, conversation_id=session, greeting=""))
    layers = policy.layers(layers)
    await _fresh(layers, settings)
    clock = Clock()
    film, journal_path = folder / f"{session}.mp4", folder / f"{session}.journal.jsonl"
    call = way.call(session, block, scenario, clock, film, mouth) if way.transport == "webrtc" else None
    if call is not None:
        tap = Tap(call, session, mouth=None)
    else:
        room = RoomSound(read_audio(block.bed), block.room.echo_db, block.room.echo_delay_ms)
        tap = Tap(way.file(scenario, clock, film), session, mouth=mouth, room=room)
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
    files = [journal_path] + ([film] if way.film else [])
    events = tuple(read_journal(journal_path))
    if call is None:
        return Held(tap.evidence(), events, tap.cpu_s, tuple(files))
    return Held(call.evidence(), events, tap.cpu_s, tuple(files), tap.evidence(call.zero_s), call.cost)


async def _fresh(layers: SpeechEngines, settings: ConversationSettings) -> None:
    """As at the start of any conversation: nothing heard yet, and the prompt read."""
    layers.vad.reset()
    await layers.llm.warm(History(settings.system, settings.recent_turns, settings.prelude).recent)
