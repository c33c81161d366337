import asyncio
import io
import socket
import wave
from contextlib import asynccontextmanager

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from cvi.audio.block import HEARD_HZ
from cvi.endpoints.endpoint_client import Timeouts
from cvi.errors import EngineError, UsageError
from cvi.stt.base import SttSettings
from cvi.stt.openai import OpenAiStt, build
from cvi.testing.contracts.stt import check_stt

KEY = "sk-not-to-be-shown-1234"


def tone(seconds=1.0):
    return (8000 * np.sin(np.arange(round(seconds * HEARD_HZ)) * 0.2)).astype(np.int16)


class Endpoint:
    """Says "word" once for each half second of sound it is sent; `behave` makes it do something else."""

    def __init__(self):
        self.requests = []
        self.behave = None
        self.started = asyncio.Event()
        self.app = FastAPI()
        self.app.post("/v1/audio/transcriptions")(self.transcribe)
        self.app.get("/v1/models")(lambda: {"data": []})

    async def transcribe(self, request: Request):
        body = await request.body()
        sound = body[body.index(b"RIFF") :]
        with wave.open(io.BytesIO(sound)) as file:
            seconds = file.getnframes() / file.getframerate()
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
        self.requests.append((dict(request.headers), body, form))
        self.started.set()
        if self.behave is not None:
            return await self.behave()
        return {"text": "  word" * round(2 * seconds) + "\n"}


@asynccontextmanager
async def serving(endpoint):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(endpoint.app, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        server.should_exit = server.force_exit = True
        await task
        listening.close()


@pytest.fixture
async def endpoint():
    endpoint = Endpoint()
    async with serving(endpoint) as url:
        endpoint.url = url
        yield endpoint


def engine_for(endpoint, **timeouts):
    settings = SttSettings(base_url=endpoint.url, api_key=KEY, model="tiny", hotwords=("Kyutai", "Piper"))
    return OpenAiStt(settings, Timeouts(**timeouts))


async def test_contract(endpoint):
    engine = engine_for(endpoint)
    assert await check_stt(engine, tone()) == "word word"
    engine.close()
    with pytest.raises(EngineError):
        engine.open()


async def test_what_is_sent(endpoint):
    engine = engine_for(endpoint)
    turn = engine.open()
    turn.feed(tone())
    assert await turn.final() == "word word"
    assert await turn.final() == await turn.partial() == "word word"
    ((headers, body, form),) = endpoint.requests
    assert headers["authorization"] == f"Bearer {KEY}"
    assert form == (HEARD_HZ, 1, 2)
    for field in (b'name="model"\r\n\r\ntiny', b'name="language"\r\n\r\nen', b"Kyutai, Piper"):
        assert field in body
    engine.close()


async def test_an_error_answer_is_shown_without_the_key(endpoint):
    async def refuse():
        return JSONResponse({"error": {"message": f"Incorrect key {KEY}."}}, 401)

    endpoint.behave = refuse
    engine = engine_for(endpoint)
    turn = engine.open()
    turn.feed(tone())
    with pytest.raises(EngineError) as caught:
        await turn.final()
    assert "401" in str(caught.value) and "Incorrect key ***" in str(caught.value)
    assert KEY not in str(caught.value)

    async def break_down():
        return JSONResponse("<html>oops</html>", 500)

    endpoint.behave = break_down
    with pytest.raises(EngineError, match="500"):
        await turn.final()

    async def answer_otherwise():
        return {"words": []}

    endpoint.behave = answer_otherwise
    with pytest.raises(EngineError, match="something else"):
        await turn.final()

    endpoint.behave = None
    assert await turn.final() == "word word", "a failed turn cannot be asked again"
    engine.close()


async def test_a_stall_ends(endpoint):
    async def stall():
        await asyncio.Event().wait()

    endpoint.behave = stall
    engine = engine_for(endpoint, total_s=0.1)
    turn = engine.open()
    turn.feed(tone())
    with pytest.raises(EngineError, match=r"no complete answer within 0\.1 s"):
        await turn.final()
    engine.close()


async def test_closing_a_turn_ends_its_request(endpoint):
    cancelled = asyncio.Event()

    async def stall():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    endpoint.behave = stall
    engine = engine_for(endpoint)
    turn = engine.open()
    turn.feed(tone())
    asked = asyncio.create_task(turn.final())
    await endpoint.started.wait()
    turn.close()
    assert await asked == ""
    engine.close()


async def test_an_endpoint_that_is_down():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    engine = build(SttSettings(base_url=f"http://user:{KEY}@127.0.0.1:{port}/v1", api_key=KEY))
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        await engine.warm()
    assert KEY not in str(caught.value)
    turn = engine.open()
    turn.feed(tone())
    with pytest.raises(EngineError, match="cannot be reached"):
        await turn.final()
    engine.close()


@pytest.mark.parametrize("url", [None, "", "localhost:8000", "ftp://host/v1"])
def test_addresses(url):
    with pytest.raises(UsageError, match=r"base_url|needs an address"):
        build(SttSettings(base_url=url))
