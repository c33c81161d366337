"""The transport with a real peer at its other end, over this machine's own network."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiortc import RTCIceGatherer
from aiortc.rtcicetransport import candidate_to_aioice

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import ConversationStarted, Event
from cvi.conversation.journal import Journal
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.media.frames import AVUnit, Frame
from cvi.stt.base import SttStream
from cvi.testing.contracts.transport import check_transport
from cvi.testing.fakes import FakeLlm, FakeTts
from cvi.testing.network_emulation import NetworkConditions, Relay
from cvi.testing.webrtc_participant import WebRtcParticipant
from cvi.transport.webrtc import ice_path as path_module
from cvi.transport.webrtc import peer as peer_module
from cvi.transport.webrtc import presence as line_module
from cvi.transport.webrtc.sdp import exchange_ice
from cvi.transport.webrtc.transport import WebRtcTransport

WIDTH, HEIGHT = 320, 180


class Owner:
    """Notes what the transport tells."""

    def __init__(self) -> None:
        self.presences: list[tuple[str, str]] = []
        self.messages: list[str] = []
        self.changed = asyncio.Event()

    def presence(self, what: str, participant_id: str) -> None:
        self.presences.append((what, participant_id))
        self.changed.set()

    def message(self, participant_id: str, text: str) -> None:
        self.messages.append(text)
        self.changed.set()

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[WebRtcTransport, Owner, Clock]]:
    owner, clock = Owner(), Clock()
    transport = WebRtcTransport(clock=clock, events=owner, width=WIDTH, height=HEIGHT, **options)
    await transport.open()
    try:
        yield transport, owner, clock
    finally:
        await transport.close()


@asynccontextmanager
async def joined(
    transport: WebRtcTransport, who: str = "p1", **options: Any
) -> AsyncIterator[WebRtcParticipant]:
    participant = WebRtcParticipant(**options)
    await participant.join(lambda offer: transport.join(offer, who))
    try:
        yield participant
    finally:
        await participant.leave()


def frame(brightness: int = 128) -> Frame:
    out = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    out[:HEIGHT] = brightness
    return out


def tone(units: int, fps: int = 25) -> Pcm:
    at = np.arange(units * PLAYED_HZ // fps)
    return (8000 * np.sin(at * 0.1)).astype(np.int16)


async def play(transport: WebRtcTransport, units: int, first: int = 0) -> None:
    samples = PLAYED_HZ // transport.fps
    for index in range(first, first + units):
        await transport.due(index)
        pcm = tone(index + 1)[index * samples :]
        transport.present(AVUnit(index, index / transport.fps, frame(60 + index % 100), pcm, 1))


async def test_it_is_a_transport() -> None:
    owner, clock = Owner(), Clock()
    transport = WebRtcTransport(clock=clock, events=owner, width=WIDTH, height=HEIGHT)
    async with joined(transport):
        await owner.until(lambda: owner.presences)
        clock.restart()
        await check_transport(transport, width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_sound_picture_and_events_go_both_ways(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "CODECS", (codec,))
    async with opened() as (transport, owner, clock):
        transport.send({"event_type": "early"})
        participant = WebRtcParticipant(camera=True, screen=True)
        await participant.join(lambda offer: transport.join(offer, "p1"))
        await owner.until(lambda: owner.presences)
        assert owner.presences == [("joined", "p1")]
        clock.restart()
        blocks: list[int] = []

        async def listen() -> None:
            async for block in transport.microphone():
                blocks.append(int(np.abs(block.pcm).max()))
                owner.changed.set()

        listening = asyncio.create_task(listen())
        participant.say(tone(50))
        await play(transport, 50)
        await participant.until(lambda: participant.seen and participant.events)
        participant.send({"event_type": "conversation.interrupt"})
        await owner.until(lambda: owner.messages)
        await owner.until(lambda: sum(level > 2000 for level in blocks) > 80)  # most of a second of tone
        listening.cancel()
        assert participant.events[0] == {"event_type": "early"}, "kept until the channel was open"
        assert "conversation.interrupt" in owner.messages[0]
        assert transport._peer is not None and transport._peer.picture is not None
        assert transport._peer.picture.codec == codec
        assert participant.seen[0][2:] == (WIDTH, HEIGHT)
        media = [at for _, at, _, _ in participant.seen]
        assert np.diff(media).min() > 0.039, "frames carry their units' times, not those of their sending"
        assert max(int(np.abs(pcm).max()) for _, pcm in participant.heard) > 4000
        assert transport.pictures["camera"].count and transport.pictures["screen"].count
        seen = transport.pictures["camera"].at(0.0)
        assert seen is not None and seen.shape[1] == transport.pictures["camera"].size[0]
        connection = transport.connection
        assert connection is not None and connection.frames_sent >= len(participant.seen)
        await participant.leave()


async def test_what_is_no_offer_changes_nothing() -> None:
    async with opened() as (transport, owner, _):
        async with joined(transport):
            await owner.until(lambda: owner.presences)
            for bad in ("", "v=0\r\nm=audio 9 RTP/AVP 0\r\n", "v=0\r\nm=audio nonsense\r\na=mid:0\r\n"):
                with pytest.raises(UsageError):
                    await transport.join(bad, "p2")
            assert transport.participant_id == "p1" and transport.flowing
        assert owner.presences[0] == ("joined", "p1")


async def test_output_waits_for_somebody_and_goes_on_where_it_stopped() -> None:
    async with opened() as (transport, owner, clock):
        async with joined(transport):
            await owner.until(lambda: owner.presences)
            clock.restart()
            await play(transport, 10)
            transport.leave("nobody")
            assert transport.flowing
            transport.leave("p1")
        assert owner.presences[-1] == ("left", "p1")
        heard_s = transport.heard_s()
        waiting = asyncio.create_task(transport.due(10))
        await asyncio.sleep(0.4)
        assert not waiting.done() and transport.heard_s() <= 10 / 25
        async with joined(transport) as again:
            due_s = await waiting
            assert due_s >= 0.4 + 9 / 25, "later by the pause"
            await play(transport, 25, first=10)
            await again.until(lambda: any(np.abs(pcm).max() > 4000 for _, pcm in again.heard))
            assert heard_s < transport.heard_s() <= 35 / 25


async def test_a_new_offer_takes_the_old_connections_place() -> None:
    async with opened() as (transport, owner, clock):
        async with joined(transport) as first:
            await owner.until(lambda: owner.presences)
            clock.restart()
            playing = asyncio.create_task(play(transport, 500))
            async with joined(transport) as second:
                await second.until(lambda: second.seen and second.heard)
                assert owner.presences == [("joined", "p1"), ("joined", "p1")], "nobody has left"
                assert first.pc.connectionState in ("connected", "closed", "failed")
            playing.cancel()


async def restarted(participant: WebRtcParticipant, path: path_module.Path, signal: Callable[[str], Any]) -> None:
    """What a browser does at an ICE restart: new credentials, same certificate, same tracks."""
    gatherer = RTCIceGatherer([])
    await gatherer.gather()
    found = gatherer._connection
    found.ice_controlling = True
    ways = [candidate.to_sdp() for candidate in found.local_candidates]
    mine = participant.pc.localDescription.sdp
    answer = await signal(exchange_ice(mine, found.local_username, found.local_password, ways))
    theirs, candidates = path_module._remote(answer)
    found.remote_username, found.remote_password = theirs.usernameFragment, theirs.password
    for candidate in [*map(candidate_to_aioice, candidates), None]:
        await found.add_remote_candidate(candidate)
    await path._seek(found)
    assert path._used is found, "another way was found"


async def test_a_connection_finds_another_way_and_goes_on() -> None:
    async with opened() as (transport, owner, clock):
        async with joined(transport) as participant:
            await owner.until(lambda: owner.presences)
            clock.restart()
            playing = asyncio.create_task(play(transport, 500))
            await participant.until(lambda: participant.seen and participant.heard)
            peer = transport._peer
            assert peer is not None and peer._path is not None
            way = peer._path._used
            files = len(list(Path("/proc/self/fd").iterdir()))
            its = path_module.IcePath(participant.pc.getSenders()[0].transport.transport, [])
            for _ in range(2):
                await restarted(participant, its, lambda offer: transport.restart(offer, "p1"))
            await owner.until(lambda: peer._path._used is not way)
            seen, heard = len(participant.seen), len(participant.heard)
            participant.send({"event_type": "conversation.interrupt"})
            await owner.until(lambda: owner.messages)
            await participant.until(lambda: len(participant.seen) > seen + 20 and len(participant.heard) > heard + 20)
            assert transport._peer is peer and owner.presences == [("joined", "p1")], "nobody noticed"
            assert peer._pc.connectionState == participant.pc.connectionState == "connected"
            assert len(list(Path("/proc/self/fd").iterdir())) <= files, "the old ways are closed"
            playing.cancel()


async def test_another_way_is_only_for_the_connection_that_is_there() -> None:
    async with opened() as (transport, owner, _):
        with pytest.raises(UsageError, match="gone"):
            await transport.restart("v=0", "p1")
        async with joined(transport) as participant:
            await owner.until(lambda: owner.presences)
            mine = participant.pc.localDescription.sdp
            other = re.sub(r"a=fingerprint:.*", "a=fingerprint:sha-256 AA:BB", mine)
            for offer, who in ((mine, "p2"), (other, "p1"), ("", "p1"), (re.sub("a=ice-(ufrag|pwd):.*\r\n", "", mine), "p1")):
                with pytest.raises(UsageError):
                    await transport.restart(offer, who)
            assert transport.flowing and owner.presences == [("joined", "p1")]


async def test_a_dead_connection_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "STALLED_S", 0.5)
    monkeypatch.setattr(line_module, "LOST_S", 1.5)
    async with opened() as (transport, owner, clock):
        async with joined(transport, video=False) as participant:
            await owner.until(lambda: owner.presences)
            clock.restart()
            await play(transport, 10)
            assert transport._peer is not None and transport._peer.has_sound
            # The cable is pulled: packets leave and never arrive.
            monkeypatch.setattr(participant.pc.getSenders()[0].transport.transport, "_send", _nowhere)
            await owner.until(lambda: ("stalled", "p1") in owner.presences)
            assert not transport.flowing
            await owner.until(lambda: ("left", "p1") in owner.presences)
            assert transport.participant_id is None


async def _nowhere(data: bytes) -> None:
    pass


async def test_both_sides_are_recorded(tmp_path: Path) -> None:
    import av

    path = tmp_path / "recording.mp4"
    async with opened(recording=path, stereo=True) as (transport, owner, clock):
        async with joined(transport, camera=True) as participant:
            await owner.until(lambda: owner.presences)
            clock.restart()

            async def listen() -> None:
                async for _ in transport.microphone():
                    pass

            listening = asyncio.create_task(listen())
            participant.say(tone(50))
            await play(transport, 50)
            listening.cancel()
    with av.open(str(path)) as container:
        sound = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
        assert sound.shape[0] == 2
        caller, persona = np.abs(sound).mean(axis=1)
        assert caller > 0.05 and persona > 0.05
    with av.open(str(path)) as container:
        frames = sum(1 for _ in container.decode(video=0))
        assert 40 <= frames <= 52


async def test_a_film_lasts_as_long_as_somebody_was_there_however_late_its_units_were(tmp_path: Path) -> None:
    from cvi.media.decode import probe

    path = tmp_path / "recording.mp4"
    async with opened(recording=path, stereo=True) as (transport, owner, clock):
        async with joined(transport):
            await owner.until(lambda: owner.presences)
            clock.restart(300.0)  # a conversation that goes on
            await play(transport, 20)
            await asyncio.sleep(1.0)  # the machine has no time
            await play(transport, 20, first=20)
            there_s = clock.now() - 300.0
            transport.leave("p1")
        waiting = asyncio.create_task(transport.due(40))
        await asyncio.sleep(1.0)  # nobody is there
        async with joined(transport):
            await waiting
            back_s = clock.now()
            await play(transport, 20, first=40)
            there_s += clock.now() - back_s
    assert there_s > 3.2
    assert abs(probe(path).duration_s - there_s) < 0.5


@pytest.mark.parametrize(
    "weather",
    [NetworkConditions(loss=0.05), NetworkConditions(jitter_s=0.1), NetworkConditions(bps=300_000), NetworkConditions(0.05, 0.1, 300_000)],
    ids=["loss", "jitter", "narrow", "all"],
)
async def test_bad_networks_are_survived(weather: NetworkConditions) -> None:
    relay = Relay(weather)
    await relay.open()
    async with opened() as (transport, owner, clock):
        participant = WebRtcParticipant()

        async def signal(offer: str) -> str:
            return relay.answer(await transport.join(relay.offer(offer), "p1"))

        await participant.join(signal)
        await owner.until(lambda: owner.presences)
        clock.restart()
        levels: list[int] = []

        async def listen() -> None:
            async for block in transport.microphone():
                levels.append(int(np.abs(block.pcm).max()))  # noqa: PERF401 - what came before a cancel counts

        listening = asyncio.create_task(listen())
        participant.say(tone(75))
        participant.send({"event_type": "conversation.interrupt"})
        await play(transport, 100)
        await owner.until(lambda: owner.messages)
        listening.cancel()
        assert transport.flowing and ("stalled", "p1") not in owner.presences
        assert relay.passed > 200 and (relay.lost > 0 or not weather.loss)
        assert sum(level > 2000 for level in levels) > 240, "the participant is heard"

        def loud_s() -> float:
            return sum(len(pcm) for _, pcm in participant.heard if np.abs(pcm).max() > 2000) / 48_000

        # The sound is counted in packets: aiortc's receiver drops some itself around each lost one.
        await participant.until(lambda: loud_s() > 1.0)
        stats = (await participant.pc.getStats()).values()
        sound = next(one for one in stats if one.type == "inbound-rtp" and one.kind == "audio")
        assert sound.packetsReceived > 170, "and hears: four seconds are 200 packets"
        assert len(participant.seen) > 30, "and sees"
        await participant.leave()
    relay.close()


# -- a whole conversation -------------------------------------------------------------------------


class LoudVad:
    name = "loud"

    def probability(self, hop: Pcm) -> float:
        return float(np.abs(hop).mean() > 500)

    def reset(self) -> None:
        pass


class CountingStt:
    """Writes one word for each quarter second of voice."""

    name = "counting"

    async def warm(self) -> None:
        pass

    def open(self) -> SttStream:
        return CountingStream()

    def close(self) -> None:
        pass


class CountingStream:
    def __init__(self) -> None:
        self._voiced = 0

    def feed(self, pcm: Pcm) -> None:
        self._voiced += int((np.abs(pcm) > 500).sum())

    async def partial(self) -> str:
        return " ".join(["word"] * (self._voiced // 4000))

    async def final(self) -> str:
        return await self.partial()

    def close(self) -> None:
        pass


async def test_a_conversation_greets_yields_and_survives_a_reconnect() -> None:
    async def render(controls: Controls) -> Frame:
        return frame(40 + round(100 * controls.jaw))

    async with opened() as (transport, owner, clock):
        async with joined(transport) as first:
            await owner.until(lambda: owner.presences)
            journal = Journal(None, clock)
            events: list[Event] = []
            journal.subscribe(events.append)
            journal.subscribe(lambda event: transport.send({"event_type": event.type, **event.data()}))
            answer = "This is a rather long answer of more than ten words, so that there is time."
            layers = SpeechEngines(LoudVad(), CountingStt(), FakeLlm([answer]), FakeTts())
            settings = ConversationSettings("c1", "You are a test.", greeting="Hello to you.")
            conversation = Conversation(settings, layers, render, transport, journal, clock)
            running = asyncio.create_task(conversation.run())
            await first.until(lambda: first.event("reply_finished"))
            first.say(tone(25))
            await first.until(lambda: [e for e in first.events if e["event_type"] == "reply_first_audio"][1:])
            await asyncio.sleep(0.5)
            first.say(tone(30))
            cut = await first.until(lambda: first.event("reply_interrupted"))
            assert cut["why"] == "barge_in" and cut["audible"] and answer.startswith(cut["heard"])
            assert first.event("barge_in")
        # The connection is gone in the middle of things; the same participant comes back.
        async with joined(transport) as second:
            await second.until(lambda: second.event("reply_finished") or second.event("reply_heard"))
            conversation.end("end_conversation_endpoint_hit")
            assert await running == "end_conversation_endpoint_hit"
        said = [message.content for message in conversation.history.messages]
        assert said[1] == "Hello to you." and said[2].startswith("word") and said[3].endswith("…")
        assert [type(event) for event in events].count(ConversationStarted) == 1
