"""Calls of a real server's tools: carried out by a page in a browser, and by an address that checks who asks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cvi.client.client import verify

from .real_server import cvi_serve, ready, told
from .stand_in import serving, share_thumbnails

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ROOM = "document.querySelector('cvi-conversation')?.conversation"
LISTEN = f"""() => {{
  window.told = [];
  {ROOM}.addEventListener("app-message", ({{ detail }}) => told.push(detail));
}}"""
ANSWER = f"""(at) => {ROOM}.sendAppMessage({{ message_type: "conversation", event_type: "conversation.tool_result",
  properties: {{ tool_call_id: told[at - 1].properties.tool_call_id, output: "a cat", status: "success" }} }})"""


class Model:
    """An OpenAI-compatible endpoint that calls the tool whose name was said, and the address of one of them."""

    def __init__(self) -> None:
        self.orders: list[dict[str, Any]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        if request.url.path == "/order":
            verify(SECRET, dict(request.headers), body, time.time())
            self.orders.append(json.loads(body))
            return JSONResponse({"status": "shipped"})
        if not body:
            return JSONResponse({})
        last = json.loads(body)["messages"][-1]
        name = next((name for name in ("look", "order") if last["role"] == "user" and name in last["content"]), "")
        call = {"index": 0, "id": "a", "function": {"name": name, "arguments": "{}"}}
        said = f"It says {last['content']}." if last["role"] == "tool" else "Hello."
        delta = {"tool_calls": [call]} if name else {"content": said}
        lines = f"data: {json.dumps({'choices': [{'delta': delta}]})}\n\ndata: [DONE]\n\n"
        return Response(lines, media_type="text/event-stream")


async def test_a_page_answers_a_call_and_an_address_finds_the_signature_right(page: Page, tmp_path: Path) -> None:
    share_thumbnails(tmp_path)
    model = Model()
    async with serving(model.app) as url, cvi_serve(tmp_path, "--allow-urls-to", "127.0.0.1") as client:

        async def made(path: str, **body: Any) -> dict[str, Any]:
            answer = await client.post(path, json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()  # type: ignore[no-any-return]

        api = {"url": f"{url}/order", "auth": {"type": "hmac", "secret": SECRET}}
        look = await made("/v2/tools", name="look", description="Look at it.", delivery={"app_message": True})
        order = await made("/v2/tools", name="order", description="How the order is.", delivery={"api": api})
        pal = await made(
            "/v2/pals", pal_name="Ada", system_prompt="Be brief.", tool_ids=[look["tool_id"], order["tool_id"]],
            layers={"llm": {"model": "m", "base_url": url}},
        )
        room = await ready(client, pal_id=pal["pal_id"], chat=True)
        await page.goto(room["conversation_url"] + "?autojoin=1&name=Ann")
        await page.wait_for_function(f"() => {ROOM}?.state === 'connected'")
        await page.evaluate(LISTEN)

        await page.evaluate(f"{ROOM}.respond('please look at it')")
        called = await told(page, "conversation.tool_call", name="look", arguments="{}")
        assert await page.evaluate(ANSWER, called)
        resolved = await told(page, "conversation.tool.resolved", called, name="look")
        await told(page, "conversation.utterance", resolved, speech="It says a cat.")

        await page.evaluate(f"{ROOM}.respond('where is the order')")
        await told(page, "conversation.tool.resolved", resolved, name="order")
        (asked,) = model.orders
        assert (asked["event_type"], asked["conversation_id"]) == ("conversation.tool_call", room["conversation_id"])
