"""Endpoints that answer oddly, through the real client, in a conversation with a fake voice. In real time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import EngineFailed, Event, ReplyBridged, ReplyFinished
from cvi.conversation.journal import Journal
from cvi.conversation.phrases import phrases
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.llm.base import LlmSettings
from cvi.llm.openai import OpenAiLlm
from cvi.testing.fakes import FakeStt, FakeTts, FakeVad, Vocabulary, fake_render
from cvi.testing.script import ScriptedTransport

EN = phrases("en")


def delta(**fields: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": fields}]}).encode() + b"\n\n"


def texts(*pieces: str) -> list[bytes | float]:
    return [part for piece in pieces for part in (delta(content=piece), 0.01)]


TOOL_CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
DONE = b"data: [DONE]\n\n"


@asynccontextmanager
async def endpoint(steps: list[bytes | float]) -> AsyncIterator[str]:
    """Streams `steps`: bytes are sent, numbers are seconds to wait."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().lower().split("\r\n")
                length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
                await reader.readexactly(length)
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for step in [*steps, DONE]:
                    if isinstance(step, bytes):
                        writer.write(b"%x\r\n%s\r\n" % (len(step), step))
                        await writer.drain()
                    else:
                        await asyncio.sleep(step)
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()


async def answer(url: str, **options: Any) -> list[Event]:
    """The events of a conversation up to the end of the first reply."""
    clock = Clock()
    journal = Journal(None, clock)
    events: list[Event] = []
    journal.subscribe(events.append)
    llm = OpenAiLlm(LlmSettings(base_url=url, model="m", first_token_timeout_s=1.0))
    layers = SpeechEngines(FakeVad(), FakeStt(Vocabulary()), llm, FakeTts(word_s=0.03))
    transport = ScriptedTransport(clock, np.zeros(16_000 * 60, np.int16))
    settings = ConversationSettings("odd", "Be brief.", **options)
    conversation = Conversation(settings, layers, fake_render, transport, journal, clock)

    def end_after_reply(event: Event) -> None:
        if isinstance(event, ReplyFinished):
            conversation.end("tested")

    journal.subscribe(end_after_reply)
    running = asyncio.ensure_future(conversation.run())
    await asyncio.sleep(0)
    conversation.respond("hello")
    async with asyncio.timeout(60):
        await running
    await llm.close()
    return events


def finished(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, ReplyFinished)]


@pytest.mark.parametrize(
    ("pieces", "language", "spoken"),
    [
        (["### Steps\n", "Boil water. Then add tea."], "en", "Steps. Boil water. Then add tea."),
        (["Here is how.\n\n", "### Steps\n", "Boil water."], "en", "Here is how. Steps. Boil water."),
        (["Okay, the user greets me. ", "I should be brief.\n", "</thi", "nk>\n\n", "Hello!"], "en", "Hello!"),
        (["[THI", "NK]User greets me.[/TH", "INK]", "Hello there."], "en", "Hello there."),
        (["<|channel|>analysis<|mess", "age|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>", "Hello."], "en",
         "Hello."),
        (["System requirements: ", "you need two cores."], "en", "System requirements: you need two cores."),
        (["Question: ", "what would you like? ", "I have tea."], "en", "Question: what would you like? I have tea."),
        (["Patient: ", "please describe your pain."], "en", "Patient: please describe your pain."),
        (["If x < 5 and y > 3, fine."], "en", "If x < 5 and y > 3, fine."),
        (list("你好！今天天气很好。我们去公园吧？好的。"), "zh", "你好！今天天气很好。我们去公园吧？"),
        (["Am 5. Nov. 2020 ", "war das, z.B. die 3. Etage. ", "Es hat Zimmer. Ja. Nein."], "de",
         "Am 5. Nov. 2020 war das, z.B. die 3. Etage. Es hat Zimmer. Ja."),
        ([], "en", EN.apology),
        (["<think>Brief."], "en", EN.apology),
    ],
)  # fmt: skip
async def test_what_is_said(pieces: list[str], language: str, spoken: str) -> None:
    async with endpoint(texts(*pieces)) as url:
        events = await answer(url, language=language)
    assert finished(events) == [spoken]
    assert any(isinstance(event, EngineFailed) for event in events) == (spoken == EN.apology)


async def test_a_tool_call_without_text_is_apologized_for() -> None:
    async with endpoint([delta(tool_calls=[TOOL_CALL])]) as url:
        assert finished(await answer(url)) == [EN.apology]


async def test_hidden_reasoning_is_waited_for_with_a_word_meanwhile() -> None:
    hidden = [part for _ in range(12) for part in (delta(reasoning_content="hmm ", content=None), 0.15)]
    async with endpoint([*hidden, *texts("After long thought, yes.")]) as url:
        events = await answer(url, bridge_after_s=0.3)
    assert finished(events) == ["After long thought, yes."]
    assert [event.text for event in events if isinstance(event, ReplyBridged)]
