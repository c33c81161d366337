"""A participant who sends anything: their messages are refused, the connection and the conversation go on."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtcsctptransport import WEBRTC_DCEP, WEBRTC_STRING
from test_transport import joined, opened
from test_worker import worker

from cvi.errors import UsageError
from cvi.server.worker.commands import read_command
from cvi.testing.webrtc_participant import WebRtcParticipant
from cvi.transport.webrtc import presence
from cvi.transport.webrtc.sdp import prefer_codecs

DEEP = "[" * 300 + "]" * 300


@pytest.mark.parametrize(
    "properties",
    [
        {"modality": "audio", "audio": "é"},
        {"modality": "audio", "audio": "\ud800"},
        {"modality": "audio", "audio": "A" * 9},
        {"modality": "audio", "audio": ["x"]},
        {"modality": "audio", "audio": "AAAA", "sample_rate": True},
        {"modality": "audio", "audio": "AAAA", "sample_rate": 1 << 70},
        {"modality": ["audio"]},
        {"text": {"a": 1}},
        {"text": "x", "deep": json.loads(DEEP)},
    ],
)
def test_an_echo_is_read_or_refused_in_words(properties: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        read_command({"event_type": "conversation.echo", "properties": properties})


def test_texts_of_the_data_channel_are_valid() -> None:
    command = read_command('{"event_type": "conversation.respond", "properties": {"text": "a\\ud800b"}}')
    assert command.text == "a\ufffdb"  # type: ignore[union-attr]
    result = read_command(
        {"event_type": "conversation.tool_result", "properties": {"tool_call_id": "t", "output": DEEP}}
    )
    assert result.output == DEEP, "too deep to be JSON, so it stays the text it is"  # type: ignore[union-attr]
    for text in (DEEP, "{", "1", '"x"', "{\"event_type\": " + DEEP + "}"):
        with pytest.raises(UsageError):
            read_command(text)


@pytest.mark.parametrize("line", ["a=rtpmap:", "a=rtpmap:96", "a=fmtp:96apt=", "a=fmtp:apt=1", "a=rtpmap: "])
def test_an_offer_with_broken_lines_is_read(line: str) -> None:
    assert line in prefer_codecs(f"v=0\nm=video 9 UDP/TLS/RTP/SAVPF 96\n{line}\n", ("H264",))


async def test_what_is_no_text_is_lost_alone() -> None:
    async with opened() as (transport, owner, _), joined(transport) as participant:
        await owner.until(lambda: owner.presences)
        async with asyncio.timeout(20):
            while participant.channel.readyState != "open":
                await asyncio.sleep(0.02)
        sctp = participant.pc.sctp
        for kind, data in (
            (WEBRTC_STRING, b"\xff\xfe"),
            (WEBRTC_DCEP, b"\x03"),
            (WEBRTC_DCEP, b"\x03" + b"\xff" * 11 + b"\xff\xff"),
            (WEBRTC_DCEP, b"\x02"),
        ):
            for stream in (participant.channel.id, 900):
                await sctp._send(stream, kind, data)
        participant.send({"event_type": "x"})
        await owner.until(lambda: owner.messages)
        assert transport.flowing and transport.participant_id == "p1"


async def test_an_offer_that_never_connects_holds_the_place_for_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "PENDING_S", 0.4)
    async with opened() as (transport, owner, _):
        stranger = WebRtcParticipant()
        await stranger.pc.setLocalDescription(await stranger.pc.createOffer())
        await transport.join(stranger.pc.localDescription.sdp, "stranger")
        assert transport.participant_id == "stranger"
        async with asyncio.timeout(10):
            while transport.participant_id is not None:
                await asyncio.sleep(0.05)
        assert owner.presences == [], "who never came has not left"
        async with joined(transport, "p1"):
            await owner.until(lambda: owner.presences)
            await asyncio.sleep(0.8)
            assert transport.participant_id == "p1", "a connection stays"
        await stranger.pc.close()


async def test_no_message_ends_a_workers_listening(tmp_path: Path) -> None:
    async with worker(tmp_path, audio_only=True) as held:
        await held.told("ready")
        assert held.process.stdin is not None
        for line in (b"{}", b"\xff", b"[" * 5000, b"null", b'{"type": "offer"}', b'{"type":"interaction","event":' + DEEP.encode() + b"}"):
            held.process.stdin.write(line + b"\n")
        for properties in ({"modality": "audio", "audio": "é"}, {"text": ["x"]}):
            held.send(type="interaction", id="i1", event={"event_type": "conversation.echo", "properties": properties})
            await held.told("refused", lambda m: m["id"] == "i1")
        answer = await held.offer("v=0\r\nm=audio 9 RTP/AVP 0\r\n")
        assert answer["type"] == "refused" and answer["status"] == 400
        held.send(type="end", reason="asked")
        assert (await held.told("stopped"))["reason"] == "asked"
        assert await held.ended() == 0


CHILD = """
import os, time
from cvi.child_process import exit_with_parent
exit_with_parent(0.2)
print(os.getpid(), flush=True)
while True:
    pass
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True)
print(child.stdout.readline(), flush=True)
time.sleep(100)
"""


def test_a_child_whose_event_loop_is_stuck_ends_with_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.05)
    assert os.getpid()
