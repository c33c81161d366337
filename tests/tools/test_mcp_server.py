"""Tools of a real MCP server: a program, and an address on the loopback."""

import asyncio
import contextlib
import gzip
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the package mcp is not installed")

from cvi.endpoints.outbound import OutboundPolicy
from cvi.errors import UsageError
from cvi.persona.policy import McpServer
from cvi.persona.schema import Persona
from cvi.tools.base import ToolCall, ToolError
from cvi.tools.declared import ToolPermissions, declared_tools
from cvi.tools.mcp_server import MOST_BYTES, McpDelivery

PROGRAM = Path(__file__).with_name("mcp_server.py")
COMMAND = [sys.executable, str(PROGRAM)]


def call(name, **arguments):
    return ToolCall("call_1", name, arguments, "c1-call_1", "c1")


@asynccontextmanager
async def connected(allowed=(), **server):
    delivery = McpDelivery(McpServer(name="weather", **server), OutboundPolicy(allowed))
    try:
        yield delivery
    finally:
        await delivery.close()


async def test_a_program_lists_its_tools_and_answers():
    async with connected(command=COMMAND) as delivery:
        specs = {spec.name: spec for spec in await delivery.specs()}
        assert set(specs) == {"weather", "broken", "picture", "dies"}
        assert specs["weather"].parameters["required"] == ["city"]
        answer = await delivery.call(call("weather", city="Oslo"))
        assert "It rains in Oslo." in answer.text
        with pytest.raises(ToolError, match="no data today"):
            await delivery.call(call("broken"))
        with pytest.raises(ToolError, match="no text"):
            await delivery.call(call("picture"))


async def test_a_program_that_dies_in_the_middle_is_started_again():
    async with connected(command=COMMAND) as delivery:
        await delivery.specs()
        with pytest.raises(ToolError, match="'weather' failed in 'dies'"):
            await asyncio.wait_for(delivery.call(call("dies")), 40)
        assert "Bergen" in (await delivery.call(call("weather", city="Bergen"))).text


@pytest.mark.parametrize("command", [["/nowhere/at-all"], [sys.executable, "-c", "print('hello')"]])
async def test_a_program_that_is_no_server_is_one_clear_message(command, monkeypatch):
    monkeypatch.setattr("cvi.tools.mcp_server.CONNECT_WITHIN_S", 8.0)
    async with connected(command=command) as delivery:
        with pytest.raises(ToolError, match="MCP server 'weather'"):
            await delivery.specs()


async def test_only_the_tools_that_are_named():
    async with connected(command=COMMAND, tools=["weather"]) as delivery:
        assert [spec.name for spec in await delivery.specs()] == ["weather"]
    async with connected(command=COMMAND, tools=["nothing"]) as delivery:
        with pytest.raises(ToolError, match="no tool 'nothing'"):
            await delivery.specs()


async def test_an_address_answers_where_it_may_be_called():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = await asyncio.create_subprocess_exec(
        *COMMAND, "http", str(port), stderr=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}/mcp"
        async with asyncio.timeout(40):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        async with connected(("127.0.0.1",), url=url) as delivery:
            assert "weather" in {spec.name for spec in await delivery.specs()}
            assert "Oslo" in (await delivery.call(call("weather", city="Oslo"))).text
        async with connected((), url=url) as delivery:
            with pytest.raises(ToolError, match="private network"):
                await delivery.specs()
    finally:
        program.kill()
        await program.wait()


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("content-type: application/json", b"x"),
        ("content-type: text/event-stream", b"x"),
        ("content-type: text/event-stream", b": x\n\n"),
        ("content-type: application/json\r\ncontent-encoding: gzip", gzip.compress(bytes(1 << 24))),
    ],
    ids=["json", "one event", "signs of life", "compressed"],
)
async def test_an_answer_without_end_is_one_message_and_little_of_it_is_read(monkeypatch, head, body):
    # The SDK passes on no fault of its connection: the first answer is waited for so long.
    monkeypatch.setattr("cvi.tools.mcp_server.CONNECT_WITHIN_S", 3.0)
    sent = 0

    async def answer(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\n{head}\r\nconnection: close\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            while not writer.is_closing():
                writer.write(body * (65536 // len(body) + 1))
                await writer.drain()
                sent += 65536
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    async with connected(("127.0.0.1",), url=url) as delivery:
        with pytest.raises(ToolError, match="cannot be reached"):
            await delivery.specs()
    server.close()
    # The client reads at most its limit; what is beyond lies in the sockets' buffers.
    assert sent < 3 * MOST_BYTES


async def test_a_program_runs_only_where_the_operator_allowed_it():
    persona = Persona(
        persona_name="Ada", system_prompt="Be brief.", mcp_servers=[McpServer(name="weather", command=COMMAND)]
    )
    with pytest.raises(UsageError, match=r"may not run here.*--allow-mcp-commands"):
        await declared_tools(persona, ToolPermissions(), "en")
    toolbox = await declared_tools(persona, ToolPermissions(mcp_commands=True), "en")
    assert {tool.name for tool in toolbox.tools} == {"weather", "broken", "picture", "dies"}
    await toolbox.close()
