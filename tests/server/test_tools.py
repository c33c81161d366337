"""Tools of a served conversation, with the worker that people get: the client's call and its answer, an address."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from receiver import Receiver
from running import listening, until

from cvi.server.jobs.webhook_delivery import webhook_secret
from cvi.server.store.database import connect, database_path, transact

WORKER = (sys.executable, "-m", "cvi.server.worker")
TOOLS = {
    "look": {"name": "look", "description": "Look at the screen.", "delivery": {"app_message": True}},
    "order": {
        "name": "order",
        "description": "The status of an order.",
        "parameters": {
            "type": "object",
            "properties": {"number": {"type": "string"}},
            "required": ["number"],
        },
    },
}


class Model:
    """An OpenAI-compatible endpoint that calls the tool whose name was said, and answers from what came back."""

    def __init__(self) -> None:
        self.url = ""
        self.orders: list[dict[str, str]] = []

    async def up(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                if " /order" in head:
                    self.orders.append({**fields, "body": body.decode()})
                    data, kind = b'{"status": "shipped"}', "application/json"
                else:
                    data, kind = self._answer(json.loads(body)) if body else b"{}", "text/event-stream"
                writer.write(
                    f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(data)}\r\n\r\n".encode()
                    + data
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, request: dict[str, Any]) -> bytes:
        last = request["messages"][-1]
        delta: dict[str, Any]
        if last["role"] == "tool":
            delta = {"content": f"It says {last['content']}."}
        else:
            name = next((name for name in TOOLS if name in last["content"]), "")
            arguments = '{"number": "5509"}' if name == "order" else "{}"
            call = {"index": 0, "id": "a", "function": {"name": name, "arguments": arguments}}
            delta = {"tool_calls": [call]} if name else {"content": "Hello."}
        return f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\ndata: [DONE]\n\n".encode()


@pytest.mark.timeout(180)
async def test_a_client_and_an_address_carry_out_calls(home: Path) -> None:
    receiver = Receiver(secret=transact(connect(database_path()), webhook_secret))
    await receiver.up()
    model = Model()
    await model.up()
    async with (
        listening(worker=WORKER, urls_to=("127.0.0.1",)) as url,
        httpx.AsyncClient(base_url=url, timeout=90) as client,
    ):

        async def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
            answer = await client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        order = {
            **TOOLS["order"],
            "delivery": {"api": {"url": f"{model.url}/order", "auth": {"type": "hmac", "secret": "s"}}},
        }
        ids = [(await made("/v2/tools", tool))["tool_id"] for tool in (TOOLS["look"], order)]
        layers = {"llm": {"model": "m", "base_url": model.url}}
        pal = await made(
            "/v2/pals", {"pal_name": "Ada", "system_prompt": "Be brief.", "layers": layers, "tool_ids": ids}
        )
        held = await made(
            "/v2/conversations", {"pal_id": pal["pal_id"], "chat": True, "callback_url": receiver.url}
        )
        id = held["conversation_id"]

        async def send(kind: str, **properties: Any) -> httpx.Response:
            event = {"event_type": f"conversation.{kind}", "properties": properties}
            return await client.post(f"/v2/conversations/{id}/interactions", json=event)

        def heard(kind: str) -> list[dict[str, Any]]:
            mine = dict(zip(receiver.ids, receiver.events, strict=True)).values()
            return [
                e["properties"] for e in mine if e.get("conversation_id") == id and e["event_type"] == kind
            ]

        await send("respond", text="please look at it")
        await until(lambda: heard("conversation.tool_call"), 90)
        (call,) = heard("conversation.tool_call")
        assert (call["name"], call["arguments"]) == ("look", "{}")
        wrong = await send("tool_result", tool_call_id="other", output="x", status="success")
        assert wrong.status_code == 400 and "No tool call waits" in wrong.text
        answer = {"tool_call_id": call["tool_call_id"], "output": '{"seen": "a cat"}', "status": "success"}
        assert (await send("tool_result", **answer)).status_code == 202
        again = await send("tool_result", **answer)
        assert again.status_code == 400 and "answered before" in again.text
        await until(lambda: heard("conversation.tool.resolved"), 30)

        await send("respond", text="where is the order")
        await until(lambda: len(heard("conversation.tool.resolved")) == 2, 30)
        (asked,) = model.orders
        assert asked["idempotency-key"] and asked["webhook-signature"].startswith("v1,")
        assert json.loads(asked["body"])["properties"]["arguments"] == {"number": "5509"}
        await client.post(f"/v2/conversations/{id}/end")
        await until(lambda: "application.transcription_ready" in receiver.kinds(id), 30)
    (ready,) = heard("application.transcription_ready")
    said = [line["content"] for line in ready["transcript"] if line["role"] == "assistant"]
    # What the model repeats of the raw answer is cleaned for speech.
    assert said[0] == 'It says "seen": "a cat".'


async def test_tools_that_cannot_be_are_refused(client: httpx.AsyncClient) -> None:
    for change, words in (
        ({"parameters": {"type": "quark"}}, "no JSON Schema"),
        ({"parameters": {"type": "array"}}, "no object"),
        ({"delivery": {"python": "os:getenv"}}, "operator"),
        ({"delivery": {"api": {"url": "https://example.com", "headers": {"x": "${HOME}"}}}}, "environment"),
    ):
        answer = await client.post("/v2/tools", json={**TOOLS["look"], **change})
        assert answer.status_code == 400 and words in answer.text, answer.text
