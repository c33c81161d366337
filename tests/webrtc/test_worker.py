"""The process around one conversation, spoken with over its pipes and joined over the network."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cvi.testing.webrtc_participant import WebRtcParticipant

SCRIPT = Path(__file__).with_name("worker_with_fakes.py")
PERSONA = {"persona_name": "Test", "system_prompt": "You are a test.", "greeting": "Hello to you."}


class Worker:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.messages: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())
        self._offers = 0

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.messages.append(json.loads(line))
            self._changed.set()
        self.messages.append({"type": "closed"})
        self._changed.set()

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def told(self, kind: str, which: Callable[[dict[str, Any]], Any] = lambda m: True) -> dict[str, Any]:
        """The first message of a kind; fails when the process ends without it."""
        async with asyncio.timeout(40):
            while True:
                for message in self.messages:
                    if message["type"] == kind and which(message):
                        return message
                assert self.messages[-1:] != [{"type": "closed"}], f"no {kind}: {self.messages[-3:]}"
                self._changed.clear()
                await self._changed.wait()

    async def offer(self, sdp: str, who: str = "p1") -> dict[str, Any]:
        self._offers += 1
        number = str(self._offers)
        self.send(type="offer", id=number, participant_id=who, participant_name="A", sdp=sdp, resume=False)
        kinds = ("answer", "refused")
        async with asyncio.timeout(20):
            while True:
                for message in self.messages:
                    if message["type"] in kinds and message["id"] == number:
                        return message
                self._changed.clear()
                await self._changed.wait()

    async def answer(self, sdp: str) -> str:
        message = await self.offer(sdp)
        assert message["type"] == "answer", message
        return str(message["sdp"])

    async def ended(self) -> int:
        async with asyncio.timeout(20):
            return await self.process.wait()


@asynccontextmanager
async def worker(folder: Path, *, fault: str = "", first: str | None = None, **over: Any) -> AsyncIterator[Worker]:
    spec = {
        "type": "start",
        "conversation_id": "c1",
        "persona": PERSONA,
        "replica": "june",
        "journal_folder": str(folder / "c1"),
        "video": {"width": 320, "height": 180, "fps": 25},
        **over,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SCRIPT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "CVI_TEST_FAULT": fault},
        limit=1 << 22,
    )
    assert process.stdin is not None
    process.stdin.write((json.dumps(spec) if first is None else first).encode() + b"\n")
    held = Worker(process, folder)
    try:
        yield held
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await held._reading


async def test_from_the_first_line_to_the_last(tmp_path: Path) -> None:
    recording = tmp_path / "recording.mp4"
    async with worker(tmp_path, recording=str(recording)) as held:
        held.send(type="interaction", event={"event_type": "conversation.append_llm_context",
                                             "properties": {"context": "It rains."}})
        await held.told("ready")
        participant = WebRtcParticipant(camera=True)
        await participant.join(held.answer)
        await held.told("joined", lambda m: m["participant_id"] == "p1")
        await participant.until(lambda: participant.seen)
        await participant.until(lambda: participant.event("conversation.replica.stopped_speaking"))
        assert participant.event("system.replica_joined")
        refused = await held.offer(participant.pc.localDescription.sdp, "p2")
        assert refused["type"] == "refused" and refused["status"] == 409
        held.send(type="interaction", event={"event_type": "conversation.respond",
                                             "properties": {"text": "What is it?"}})
        participant.send({"event_type": "conversation.dance"})
        error = await participant.until(lambda: participant.event("system.error"))
        assert "conversation.dance" in error["properties"]["message"]
        answered = lambda e: e["properties"].get("speech") == "It is a test."  # noqa: E731
        await participant.until(lambda: [e for e in participant.events if answered(e)])
        await held.told("event", lambda m: answered(m["event"]))
        held.send(type="end", reason="end_conversation_endpoint_hit")
        stopped = await held.told("stopped")
        shutdown = await participant.until(lambda: participant.event("system.shutdown"))
        assert await held.ended() == 0
        await participant.leave()
    assert shutdown["properties"]["shutdown_reason"] == stopped["reason"] == "end_conversation_endpoint_hit"
    said = [(line["role"], line["content"]) for line in stopped["transcript"]]
    assert said[:2] == [("assistant", "Hello to you."), ("user", "What is it?")]
    assert stopped["recording"] == str(recording) and recording.is_file()
    assert stopped["facts"]["playout"]["units"] > 20
    journal = (tmp_path / "c1" / "journal.jsonl").read_text()
    assert '"context_appended"' in journal and '"conversation_ended"' in journal


async def test_somebody_who_leaves_and_does_not_come_back(tmp_path: Path) -> None:
    limits = {"participant_left_timeout_s": 0.2}
    async with worker(tmp_path, audio_only=True, limits=limits) as held:
        await held.told("ready")
        participant = WebRtcParticipant(video=False)
        await participant.join(held.answer)
        await held.told("joined")
        held.send(type="leave", participant_id="somebody else")
        held.send(type="leave", participant_id="p1")
        await held.told("left")
        assert (await held.told("stopped"))["reason"] == "participant_left_timeout"
        assert await held.ended() == 0
        await participant.leave()


async def test_nobody_comes(tmp_path: Path) -> None:
    async with worker(tmp_path, limits={"participant_absent_timeout_s": 0.2}) as held:
        await held.told("ready")
        refused = await held.offer("this is no offer")
        assert refused["type"] == "refused" and refused["status"] == 400
        stopped = await held.told("stopped")
        assert stopped["reason"] == "participant_absent_timeout" and stopped["transcript"] == []
        assert await held.ended() == 0


async def test_it_does_not_last_longer_than_it_may(tmp_path: Path) -> None:
    async with worker(tmp_path, audio_only=True, limits={"max_call_duration_s": 1.5}) as held:
        await held.told("ready")
        participant = WebRtcParticipant(video=False)
        await participant.join(held.answer)
        assert (await held.told("stopped"))["reason"] == "max_call_duration"
        await participant.leave()


async def test_a_typed_conversation_needs_nobodys_connection(tmp_path: Path) -> None:
    async with worker(tmp_path, chat=True, limits={"participant_absent_timeout_s": 3.0}) as held:
        ask = {"event_type": "conversation.respond", "properties": {"text": "What is it?"}}
        held.send(type="interaction", event=ask)
        await held.told("ready")

        def says(role: str, text: str) -> Callable[[dict[str, Any]], bool]:
            return lambda m: (
                m["event"]["event_type"] == "conversation.utterance"
                and m["event"]["properties"] == {"role": role, "speech": text}
            )

        user = await held.told("event", says("user", "What is it?"))
        pal = await held.told("event", says("pal", "It is a test."))
        await held.told("event", says("replica", "It is a test."))
        assert user["event"]["inference_id"] == pal["event"]["inference_id"]
        echo = {"event_type": "conversation.echo", "properties": {"text": "Hi."}}
        held.send(type="interaction", event=echo)
        await held.told("event", lambda m: m["event"]["event_type"] == "system.error")
        held.send(type="end", reason="end_conversation_endpoint_hit")
        stopped = await held.told("stopped")
        assert await held.ended() == 0
    said = [(line["role"], line["content"]) for line in stopped["transcript"]]
    assert ("user", "What is it?") in said and ("assistant", "It is a test.") in said
    assert not [m for m in held.messages if "stopped_speaking" in str(m)], "nothing was spoken"


@pytest.mark.parametrize("how", ["sigterm", "sigint", "eof"])
async def test_it_ends_when_it_must(tmp_path: Path, how: str) -> None:
    async with worker(tmp_path, audio_only=True) as held:
        await held.told("ready")
        if how == "eof":
            assert held.process.stdin is not None
            held.process.stdin.close()
        else:
            held.process.send_signal(signal.SIGTERM if how == "sigterm" else signal.SIGINT)
        await held.told("stopped")
        assert await held.ended() == 0


@pytest.mark.parametrize(
    ("first", "words"),
    [("", "Invalid JSON"), ("{}", "start"), ('{"type": "start", "conversation_id": "c1"}', "persona")],
)
async def test_a_spec_that_is_none_is_told(tmp_path: Path, first: str, words: str) -> None:
    async with worker(tmp_path, first=first) as held:
        assert words in (await held.told("failed"))["message"]
        assert await held.ended() != 0


async def test_engines_that_cannot_be_built_are_told(tmp_path: Path) -> None:
    async with worker(tmp_path, fault="build") as held:
        assert "no such model" in (await held.told("failed"))["message"]
        assert await held.ended() == 1


async def test_a_fault_in_the_middle_ends_it_in_the_open(tmp_path: Path) -> None:
    async with worker(tmp_path, fault="render") as held:
        await held.told("ready")
        participant = WebRtcParticipant()
        await participant.join(held.answer)
        await held.told("failed")
        assert await held.ended() == 1
        await participant.leave()
