"""The endpoint voice against a small server of the test's own."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import wave
from collections.abc import AsyncIterator, Iterator

import httpx
import numpy as np
import pytest

fastapi = pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
from fastapi.responses import JSONResponse, Response, StreamingResponse  # noqa: E402

from cvi.endpoints.endpoint_client import Timeouts  # noqa: E402
from cvi.errors import EngineError, UsageError  # noqa: E402
from cvi.testing.contracts.tts import check_tts  # noqa: E402
from cvi.tts.base import TtsSettings  # noqa: E402
from cvi.tts.openai import OpenAiTts, build  # noqa: E402

KEY = "sk-quite-secret-123"


def tone(text: str, rate: int = 24_000) -> np.ndarray:
    """A third of a second of silence, a buzz as long as the text, and silence again."""
    seconds = len(text) / 15
    buzz = 9_000 * np.sin(2 * np.pi * 180 * np.arange(int(seconds * rate)) / rate)
    quiet = np.zeros(rate // 3)
    return np.concatenate([quiet, buzz, quiet]).astype(np.int16)


def application() -> tuple[object, list[dict]]:
    app = fastapi.FastAPI()
    seen: list[dict] = []

    @app.get("/{path:path}/models")
    async def models(path: str) -> dict:
        return {"data": []}

    @app.post("/{kind}/audio/speech")
    async def speak(kind: str, request: fastapi.Request) -> Response:
        asked = await request.json()
        seen.append(
            {
                **asked,
                "authorization": request.headers.get("authorization"),
                "x": request.headers.get("x-team"),
            }
        )
        raw = tone(asked["input"]).tobytes()

        async def in_parts(stop_after: int | None = None) -> AsyncIterator[bytes]:
            for number, at in enumerate(range(0, len(raw), 4_801)):
                yield raw[at : at + 4_801]
                if number == stop_after:
                    await asyncio.sleep(30)

        if kind == "stalls":
            return StreamingResponse(in_parts(stop_after=8), media_type="audio/pcm")
        if kind == "silent":
            await asyncio.sleep(30)
        if kind == "broken":
            return JSONResponse({"error": f"no voice for key {KEY}"}, status_code=500)
        if kind == "locked":
            return JSONResponse({"error": "who are you?"}, status_code=401)
        if kind == "packed":
            return Response(b"ID3 and so on", media_type="audio/mpeg")
        if kind == "empty":
            return Response(b"", media_type="audio/pcm")
        if kind == "wav":
            file = io.BytesIO()
            with wave.open(file, "wb") as out:
                out.setnchannels(2)
                out.setsampwidth(2)
                out.setframerate(22_050)
                out.writeframes(np.repeat(tone(asked["input"], 22_050), 2).tobytes())
            return Response(file.getvalue(), media_type="audio/wav")
        return StreamingResponse(in_parts(), media_type="audio/pcm")

    return app, seen


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[dict]]]:
    app, seen = application()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    serving = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=serving.run, args=([listener],), daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for _ in range(200):
        try:
            httpx.get(f"{address}/v1/models")
            break
        except httpx.HTTPError:
            threading.Event().wait(0.05)
    yield address, seen
    serving.should_exit = True
    thread.join(5)


def voice(address: str, kind: str = "v1", **settings: object) -> OpenAiTts:
    settings = {"base_url": f"{address}/{kind}/", "api_key": KEY, **settings}
    return OpenAiTts(TtsSettings(**settings), Timeouts(connect_s=2.0, first_s=0.4, stall_s=0.4))  # type: ignore[arg-type]


async def spoken(engine: OpenAiTts, text: str) -> list:
    return [piece async for piece in engine.speak(text)]


@pytest.mark.parametrize("kind", ["v1", "wav"])
async def test_contract(server: tuple[str, list[dict]], kind: str) -> None:
    engine = voice(server[0], kind)
    pieces = await check_tts(engine)
    assert all(piece.phones == () for piece in pieces)
    engine.close()


async def test_sound_comes_in_pieces_and_none_of_it_is_lost(server: tuple[str, list[dict]]) -> None:
    text = "This is a rather long sentence, so that its sound is cut into several pieces on the way."
    engine = voice(server[0])
    pieces = await spoken(engine, text)
    assert len(pieces) >= 3
    assert pieces[0].duration_s < 1.0
    whole = np.concatenate([piece.pcm for piece in pieces])
    buzz = tone(text)[8_000:-8_000]
    at = int(np.flatnonzero(np.abs(whole) > 500)[0]) - int(np.flatnonzero(np.abs(buzz) > 500)[0])
    assert np.array_equal(whole[at : at + len(buzz)], buzz)
    words = [text[word.text_start : word.text_end] for piece in pieces for word in piece.words]
    assert words == text.replace(",", "").replace(".", "").split()
    engine.close()


async def test_what_is_asked(server: tuple[str, list[dict]]) -> None:
    engine = voice(server[0], voice="nova", model="small", speed=1.2, headers={"X-Team": "blue"})
    await spoken(engine, "It costs $5.")
    assert server[1][-1] == {
        "model": "small", "voice": "nova", "input": "It costs five dollars.", "response_format": "pcm",
        "speed": 1.2, "authorization": f"Bearer {KEY}", "x": "blue",
    }  # fmt: skip
    engine.close()


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("broken", "500"),
        ("locked", "401"),
        ("packed", "audio/mpeg"),
        ("empty", "no sound"),
        ("silent", "sent nothing"),
    ],
)
async def test_a_failing_endpoint_is_one_clear_error(
    server: tuple[str, list[dict]], kind: str, what: str
) -> None:
    engine = voice(server[0], kind)
    with pytest.raises(EngineError, match=what) as caught:
        await spoken(engine, "Hello there.")
    assert KEY not in str(caught.value)
    assert caught.value.remedy
    engine.close()


async def test_a_stall_comes_after_what_was_sent(server: tuple[str, list[dict]]) -> None:
    engine = voice(server[0], "stalls")
    pieces = []
    with pytest.raises(EngineError, match=r"fell silent for 0\.4 s"):
        async for piece in engine.speak(
            "A sentence which stops in the middle of itself, because the server sleeps."
        ):
            pieces.append(piece)  # noqa: PERF401
    assert pieces
    engine.close()


async def test_an_endpoint_that_is_down() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    engine = voice(address)
    with pytest.raises(EngineError, match="cannot be reached"):
        await engine.warm()
    with pytest.raises(EngineError, match="cannot be reached"):
        await spoken(engine, "Hello.")


def test_an_address_is_needed() -> None:
    with pytest.raises(UsageError, match="address"):
        build(TtsSettings())
