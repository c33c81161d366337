"""The Python client against the application, and the reference page."""

from __future__ import annotations

import asyncio
from html.parser import HTMLParser

import httpx
import pytest
from running import listening

from cvi.client import Client
from cvi.client.client import ApiError


async def test_a_conversation_from_beginning_to_end(home) -> None:
    def talk(url: str) -> None:
        with Client(url) as client:
            ada = client.create_persona(persona_name="Ada", system_prompt="You are Ada.")
            assert client.persona(ada["persona_id"])["pal_name"] == "Ada"
            change = [{"op": "replace", "path": "/persona_name", "value": "Bea"}]
            assert client.patch_persona(ada["persona_id"], change) is True
            assert client.patch_persona(ada["persona_id"], change) is False
            assert len(list(client.personas())) == len(list(client.personas("system"))) + 1
            assert next(client.replicas())["replica_id"]
            room = client.create_conversation(
                persona_id=ada["persona_id"], properties={"enable_recording": True}
            )
            id = room["conversation_id"]
            client.interact(id, "conversation.respond", text="Hello")
            assert [row["conversation_id"] for row in client.conversations("active")] == [id]
            client.end_conversation(id)
            assert client.conversation(id, verbose=True)["shutdown_reason"] == "end_conversation_endpoint_hit"
            client.delete_conversation(id, hard=True)
            with pytest.raises(ApiError, match="Invalid conversation_id") as caught:
                client.conversation(id)
            assert caught.value.status == 400
            for number in range(3):
                client.create("tools", name=f"tool_{number}", description="A tool.")
            tools = list(client.every("tools"))
            assert len(tools) == 3 and client.patch("tools", tools[0]["tool_id"], {"description": "x"})
            client.delete("tools", tools[0]["tool_id"])
            assert client.get("tools", tools[1]["tool_id"])["name"] == "tool_1"
            client.delete_persona(ada["persona_id"])

    async with listening() as url:
        await asyncio.to_thread(talk, url)


def test_an_unreachable_server_is_an_api_error_with_a_remedy() -> None:
    with (
        Client("http://127.0.0.1:1/v2/") as client,
        pytest.raises(ApiError, match="cannot be reached") as caught,
    ):
        client.conversation("c1")
    assert caught.value.status == 0 and "cvi serve" in caught.value.remedy


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.seen.append(tag)
        assert tag != "script" and not any(name == "style" or name.startswith("on") for name, _ in attrs)


async def test_the_reference_can_be_read_without_scripts(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs")
    parser = Tags()
    parser.feed(answer.text)
    document = (await client.get("/openapi.json")).json()
    assert parser.seen.count("details") == sum(len(item) for item in document["paths"].values())
    assert "participant_absent_timeout" in answer.text and "/v2/pals/{persona_id}" in answer.text
    assert (await client.get("/static/pages/reference.css")).status_code == 200
