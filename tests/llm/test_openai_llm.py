import asyncio
import json
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import pytest

from cvi.errors import EngineError, MissingError, UsageError
from cvi.llm import llama_cpp
from cvi.llm.base import LlmSettings, Message, Sampling
from cvi.llm.openai import build
from cvi.testing.contracts.llm import check_llm

HELLO = [Message("system", "Be brief."), Message("user", "Hello.")]
KEY = "sk-very-secret"


class Endpoint:
    """A bare HTTP server on the loopback, whose answer is a list of steps: bytes to send, seconds to wait."""

    def __init__(self, *steps, status="200 OK"):
        self.steps, self.status = steps, status
        self.requests, self.connections, self.broken = [], 0, asyncio.Event()

    @asynccontextmanager
    async def open(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                self.requests.append((lines[0], fields, json.loads(body) if body else None))
                head = f"HTTP/1.1 {self.status}\r\nTransfer-Encoding: chunked\r\n\r\n"
                writer.write(head.encode())
                for step in self.steps:
                    if isinstance(step, bytes):
                        writer.write(b"%x\r\n%s\r\n" % (len(step), step))
                        await writer.drain()
                    elif await self._left(reader, step):
                        return
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            self.broken.set()
            writer.close()

    async def _left(self, reader, seconds):
        try:
            return await asyncio.wait_for(reader.read(1), seconds) == b""
        except TimeoutError:
            return False


def data(text):
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def engine(url, **settings):
    return build(LlmSettings(base_url=url, api_key=KEY, model="m", **settings))


async def reply(llm, **sampling):
    return "".join([piece async for piece in llm.stream(HELLO, Sampling(**sampling))])


async def test_the_request_and_the_reply():
    endpoint = Endpoint(data("Good "), data("day."), DONE, data("not this"))
    async with endpoint.open():
        llm = engine(
            endpoint.url + "/",
            headers={"X-Room": "1"},
            extra_body={"top_k": 3, "seed": None, "max_tokens": 7},
            default_query={"api-version": "2"},
        )
        assert await reply(llm, stop=("a", "b", "c", "d", "e")) == "Good day."
        assert await llm.completeness(HELLO, "hi") is None
        await llm.prefill(HELLO, "hi")
        await llm.close()
    line, fields, body = endpoint.requests[0]
    assert line == "POST /v1/chat/completions?api-version=2 HTTP/1.1"
    assert fields["authorization"] == f"bearer {KEY}"
    assert fields["x-room"] == "1"
    assert body["messages"] == [{"role": m.role, "content": m.content} for m in HELLO]
    assert (body["stream"], body["model"], body["top_k"], body["max_tokens"]) == (True, "m", 3, 7)
    assert body["stop"] == ["a", "b", "c", "d"]
    assert "seed" not in body


async def test_one_connection_serves_many_replies():
    endpoint = Endpoint(data("x"), DONE)
    async with endpoint.open():
        llm = engine(endpoint.url)
        await llm.warm(HELLO)
        for _ in range(3):
            assert await reply(llm) == "x"
        await llm.close()
    routes = [line.split()[1] for line, _, _ in endpoint.requests]
    assert routes == ["/v1/models"] + ["/v1/chat/completions"] * 3
    assert endpoint.connections == 1


async def test_damaged_chunks_and_odd_events_are_skipped():
    odd = b": keep-alive\n\nevent: x\ndata: {broken\n\ndata: []\n\ndata: {\"choices\": []}\n\n"
    odd += b'data: {"choices": [null]}\n\n'
    role = b'data: {"choices": [{"delta": {"role": "assistant", "content": null}}]}\n\n'
    umlaut = data("ü").replace(b"\\u00fc", "ü".encode())
    at = umlaut.index("ü".encode()) + 1
    endpoint = Endpoint(role, data("a"), odd, data("b"), umlaut[:at], umlaut[at:], DONE)
    async with endpoint.open():
        llm = engine(endpoint.url)
        assert await reply(llm) == "abü"
        await llm.close()


async def failure(endpoint, **settings):
    async with endpoint.open():
        llm = engine(endpoint.url, **settings)
        with pytest.raises(EngineError) as caught:
            await reply(llm)
        await llm.close()
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "127.0.0.1" in caught.value.message
    return str(caught.value)


async def test_an_error_answer_is_readable():
    body = json.dumps({"error": {"message": f"Incorrect API key\nprovided: {KEY}"}}).encode()
    message = await failure(Endpoint(body, status="401 Unauthorized"))
    assert "401 Unauthorized: Incorrect API key provided: ***. Check the API key." in message
    assert "404" in await failure(Endpoint(b"<html>nginx</html>", status="404 Not Found"))
    assert "overloaded" in await failure(Endpoint(b"overloaded", status="500 Internal Server Error"))
    # an endpoint whose error never ends does not hold the reply up for ever
    assert "500" in await failure(Endpoint(b"x", 60, status="500 Internal Server Error"))


async def test_an_error_within_the_stream_is_raised():
    error = b'data: {"error": {"message": "out of memory"}}\n\n'
    assert "out of memory" in await failure(Endpoint(data("a"), error))
    assert "without a word" in await failure(Endpoint(b": nothing\n\n"))


async def test_a_silent_endpoint_is_an_error():
    message = await failure(Endpoint(b": ping\n\n", 60), first_token_timeout_s=0.2)
    assert "sent nothing within 0.2 s" in message
    message = await failure(Endpoint(data("a"), 60), stall_timeout_s=0.2)
    assert "fell silent for 0.2 s in the middle" in message


def reasoning(text, field="reasoning_content"):
    return b"data: " + json.dumps({"choices": [{"delta": {field: text, "content": None}}]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    "step", [reasoning("hmm "), reasoning("hmm ", "reasoning"), b": OPENROUTER PROCESSING\n\n"]
)
async def test_an_endpoint_that_reasons_is_waited_for_as_long_as_something_arrives(step):
    steps = [part for _ in range(10) for part in (step, 0.2)]
    endpoint = Endpoint(*steps, data("After long thought, yes."), DONE)
    async with endpoint.open():
        llm = engine(endpoint.url, first_token_timeout_s=1.2, stall_timeout_s=5)
        started = time.monotonic()
        assert await reply(llm) == "After long thought, yes."
        assert time.monotonic() - started > 1.5
        await llm.close()
    assert "sent nothing" in await failure(Endpoint(step, 60), first_token_timeout_s=0.2)


async def test_reasoning_that_leaks_with_its_closing_tag_alone_is_held_back_from_the_second_reply_on():
    endpoint = Endpoint(data("Well. They "), data("greet me.</th"), data("ink>Hello"), data("."), DONE)
    plain = Endpoint(data("Good "), data("day."), DONE)
    async with endpoint.open(), plain.open():
        llm = engine(endpoint.url)
        pieces = [[piece async for piece in llm.stream(HELLO, Sampling())] for _ in range(2)]
        assert len(pieces[0]) == 4
        assert pieces[1] == ["Well. They greet me.</think>Hello", "."]
        await llm.close()
        named = build(LlmSettings(base_url=plain.url, model="DeepSeek-R1"))
        pieces = [[piece async for piece in named.stream(HELLO, Sampling())] for _ in range(2)]
        assert pieces == [["Good day."], ["Good ", "day."]]
        await named.close()


async def test_a_slow_listener_is_not_a_silent_endpoint():
    endpoint = Endpoint(data("a"), data("b"), DONE)
    async with endpoint.open():
        llm = engine(endpoint.url, stall_timeout_s=0.1)
        got = []
        async for piece in llm.stream(HELLO, Sampling()):
            got.append(piece)
            await asyncio.sleep(0.3)
        await llm.close()
    assert got == ["a", "b"]


async def test_closing_the_stream_closes_the_request():
    endpoint = Endpoint(data("a"), 60)
    async with endpoint.open():
        llm = engine(endpoint.url)
        stream = llm.stream(HELLO, Sampling())
        assert await anext(stream) == "a"
        await stream.aclose()
        await asyncio.wait_for(endpoint.broken.wait(), 20)
        await llm.close()
        with pytest.raises(EngineError, match="closed"):
            await anext(llm.stream(HELLO, Sampling()))


async def test_an_endpoint_that_breaks_off_or_is_down():
    class Rude(Endpoint):
        async def _left(self, reader, seconds):
            return True

    assert "failed" in await failure(Rude(data("a"), 0))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    llm = engine(url)
    with pytest.raises(EngineError, match="failed"):
        await llm.warm(HELLO)
    with pytest.raises(EngineError, match="Check that the endpoint runs"):
        await reply(llm)
    await llm.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1", "http://h:1/v1/chat/completions"),
        ("https://h/v1/", "https://h/v1/chat/completions"),
        ("https://h/openai/deployments/d", "https://h/openai/deployments/d/chat/completions"),
    ],
)
def test_the_address(url, expected):
    assert build(LlmSettings(base_url=url)).url == expected


@pytest.mark.parametrize("url", [None, "", "h:1/v1", "ftp://h", "http://h/v1/chat/completions", "http://h/v1?key=1"])
def test_a_wrong_address_is_misuse(url):
    with pytest.raises(UsageError):
        build(LlmSettings(base_url=url))


def test_a_key_http_cannot_carry_is_not_shown():
    with pytest.raises(UsageError) as caught:
        build(LlmSettings(base_url="http://h", api_key="schlüssel→geheim"))
    assert "geheim" not in str(caught.value)


async def test_contract_against_a_real_server():
    """llama-cpp-python's own server with the shipped model."""
    for package in "llama_cpp uvicorn fastapi sse_starlette starlette_context pydantic_settings".split():
        pytest.importorskip(package, reason=f"{package} is not installed")
    try:
        model = llama_cpp.shipped_model()
    except MissingError as error:
        pytest.skip(str(error))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import llama_cpp, llama_cpp._internals as inner, sys\n"
        "real = llama_cpp.llama_model_default_params\n"
        "def plain():\n"
        "    params = real()\n"
        "    params.use_extra_bufts = b'AMX_INT8 = 1' not in llama_cpp.llama_print_system_info()\n"
        "    return params\n"
        "llama_cpp.llama_cpp.llama_model_default_params = llama_cpp.llama_model_default_params = plain\n"
        "from llama_cpp.server.__main__ import main\n"
        "main()\n"
    )
    options = ["--model", str(model), "--port", str(port), "--n_ctx", "512", "--n_threads", "1"]
    server = subprocess.Popen(
        [sys.executable, "-c", code, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        url = f"http://127.0.0.1:{port}"
        llm = build(LlmSettings(base_url=url, first_token_timeout_s=60, stall_timeout_s=60))
        while True:
            try:
                await llm.warm(HELLO)
                break
            except EngineError:
                assert server.poll() is None, "the server ended"
                assert time.monotonic() < deadline, "the server did not start"
                await asyncio.sleep(0.2)
        assert await check_llm(llm)
        await llm.close()
    finally:
        server.terminate()
        server.wait(20)
