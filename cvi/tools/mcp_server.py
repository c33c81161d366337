"""Tools of an MCP server (Model Context Protocol), by the official SDK: a program of its own, or an address.

One task holds the connection from its beginning to its end. A server that dies fails the calls under way,
and the next call connects again, once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

from cvi.endpoints.outbound import OutboundPolicy, RefusedAddressError, checked_transport
from cvi.errors import CviError, MissingError
from cvi.llm.base import ToolSpec
from cvi.persona.policy import McpServer
from cvi.persona.section import expand
from cvi.tools.base import ToolAnswer, ToolCall, ToolError

CONNECT_WITHIN_S = 15.0
CALL_WITHIN_S = 30.0
MOST_BYTES = 4 << 20
"""Of one answer; a stream of answers is opened anew after as many."""
_CLOSE_WITHIN_S = 3.0


class McpDelivery:
    """One server's connection; all its tools share it. Event loop."""

    name = "mcp"

    def __init__(self, server: McpServer, policy: OutboundPolicy) -> None:
        """`policy` decides which addresses may be called. Raises MissingError without the SDK."""
        try:
            import mcp  # noqa: F401 - only whether it is here
        except ImportError as error:
            raise MissingError(
                "MCP servers need the package mcp.", "Run: pip install 'cvi-local[mcp]'"
            ) from error
        self._server, self._policy = server, policy
        self._session: Any = None
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._connecting = asyncio.Lock()

    async def specs(self) -> list[ToolSpec]:
        """Connect, and list the server's tools, those that the persona names. Raises ToolError."""
        session = await self._connected()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                found = (await session.list_tools()).tools
        except Exception as error:  # whatever the SDK and its transports raise
            raise self._failed("did not list its tools", error) from error
        wanted = set(self._server.tools)
        if missing := wanted - {tool.name for tool in found}:
            raise ToolError(
                f"The MCP server '{self._server.name}' has no tool '{sorted(missing)[0]}'.",
                f"It has: {', '.join(sorted(tool.name for tool in found))[:300]}.",
            )
        return [
            ToolSpec(tool.name, (tool.description or tool.name)[:2000], tool.inputSchema)
            for tool in found
            if not wanted or tool.name in wanted
        ]

    async def call(self, call: ToolCall) -> ToolAnswer:
        """The texts of the answer. Raises ToolError."""
        session = await self._connected()
        try:
            result = await session.call_tool(
                call.name, dict(call.arguments), read_timeout_seconds=timedelta(seconds=CALL_WITHIN_S)
            )
        except Exception as error:  # whatever the SDK and its transports raise
            raise self._failed(f"failed in '{call.name}'", error) from error
        texts = [part.text for part in result.content if getattr(part, "type", "") == "text"]
        if result.isError:
            raise ToolError(f"'{call.name}' failed: {' '.join(texts)[:160] or 'no reason given'}")
        if not texts and result.content:
            raise ToolError(f"'{call.name}' answered with something that is no text.")
        structured = getattr(result, "structuredContent", None)
        return ToolAnswer(structured if structured is not None else "\n".join(texts) or "done")

    async def close(self) -> None:
        """End the connection, and the program behind it."""
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_CLOSE_WITHIN_S)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._session is None and not self._closing.is_set():
                ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                self._task = asyncio.create_task(self._hold(ready), name=f"mcp-{self._server.name}")
                self._session = await ready
            if self._session is None:
                raise ToolError(f"The MCP server '{self._server.name}' was closed.")
            return self._session

    async def _hold(self, ready: asyncio.Future[Any]) -> None:
        """Open the connection, give its session, and keep it until it is closed or lost."""
        from mcp import ClientSession

        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(CONNECT_WITHIN_S):
                    streams = await stack.enter_async_context(self._transport())
                    session = await stack.enter_async_context(ClientSession(streams[0], streams[1]))
                    await session.initialize()
                ready.set_result(session)
                await self._closing.wait()
        except Exception as error:  # whatever the SDK and its transports raise
            own = isinstance(error, CviError) and not isinstance(error, RefusedAddressError)
            if not ready.done():
                ready.set_exception(error if own else self._failed("cannot be reached", error))
        finally:
            self._session = None
            if not ready.done():
                ready.cancel()

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Sequence[Any]]:
        server = self._server
        if server.command:
            from mcp import StdioServerParameters
            from mcp.client.stdio import stdio_client

            env = {name: expand(value.get_secret_value()) for name, value in server.env.items()} or None
            parameters = StdioServerParameters(command=server.command[0], args=server.command[1:], env=env)
            async with stdio_client(parameters) as streams:
                yield streams
            return
        import httpx
        from mcp.client.streamable_http import streamablehttp_client

        def client(headers: Any = None, timeout: Any = None, auth: Any = None) -> httpx.AsyncClient:
            transport = checked_transport(self._policy, MOST_BYTES)
            return httpx.AsyncClient(
                headers=headers, timeout=timeout, auth=auth, transport=transport, trust_env=False
            )

        assert server.url is not None
        await self._policy.resolve(server.url)
        headers = {name: expand(value.get_secret_value()) for name, value in server.headers.items()}
        async with streamablehttp_client(
            server.url, headers=headers, timeout=CALL_WITHIN_S, httpx_client_factory=client
        ) as streams:
            yield streams

    def _failed(self, what: str, error: BaseException) -> ToolError:
        """The error to raise; a connection that is gone is opened again by the next call."""
        while isinstance(error, BaseExceptionGroup) and error.exceptions:
            error = error.exceptions[0]
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        if "closed" in detail.lower() or "ClosedResource" in type(error).__name__:
            self._lose()
        if isinstance(error, RefusedAddressError):
            return ToolError(f"The MCP server '{self._server.name}' {what}: {error.message}", error.remedy)
        return ToolError(
            f"The MCP server '{self._server.name}' {what}: {detail}.", "Check that it runs, and its own log."
        )

    def _lose(self) -> None:
        self._session = None
        if self._task is not None:
            self._task.cancel()
