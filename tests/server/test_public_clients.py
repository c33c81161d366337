"""What unmodified public clients send: ids of another service, old routes, strict types, engines of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import create, serving, until

REPLICAS = [
    "r4067604db72",
    "rf4703150052",
    "r665388ec672",
    "r6e055828f63",
    "re8e740a42",
    "r79e1c033f",
    "r5dc7c7d0bcb1",
]
PERSONAS = ["pd43ffef", "p3bb4745d4f9", "p596401c2cf9", "p24293d6", "p9a95912", "p0123456789ab"]
UNREAL = {"test_mode": True}


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("id", REPLICAS)
async def test_a_stock_face_stands_for_a_foreign_id_and_keeps_it(client: httpx.AsyncClient, id: str) -> None:
    made = await post(client, "/v2/conversations", face_id=id, **UNREAL)
    assert made["replica_id"] == made["face_id"] == id
    (noted,) = made["substituted_for"]
    assert noted["field"] == "replica_id" and noted["sent"] == id and "strict-ids" in noted["remedy"]
    stock = (await client.get(f"/v2/replicas/{noted['id']}")).json()
    assert stock["replica_type"] == "system" and "substituted_for" not in stock
    again = await post(client, "/v2/conversations", replica_id=id, **UNREAL)
    assert again["substituted_for"] == made["substituted_for"]
    shown = (await client.get(f"/v2/faces/{id}")).json()
    assert shown["face_id"] == id and shown["replica_name"] == stock["replica_name"]
    found = (await client.get(f"/v2/conversations/{made['conversation_id']}")).json()
    assert found["replica_id"] == id and found["substituted_for"] == made["substituted_for"]


@pytest.mark.parametrize("id", PERSONAS)
async def test_the_guide_stands_for_a_foreign_persona(client: httpx.AsyncClient, id: str) -> None:
    made = await post(client, "/v2/conversations", persona_id=id, **UNREAL)
    assert made["persona_id"] == made["pal_id"] == id
    assert [(row["sent"], row["name"]) for row in made["substituted_for"]] == [(id, "guide")]
    shown = (await client.get(f"/v2/personas/{id}")).json()
    assert shown["persona_id"] == id and shown["persona_name"] == "June, the guide"
    assert (await client.delete(f"/v2/personas/{id}")).status_code == 400


async def test_echo_personas_are_no_substitutes(client: httpx.AsyncClient) -> None:
    made = await post(client, "/v2/conversations", persona_id="pipecat0", **UNREAL)
    assert made["persona_id"] == "pipecat0" and "substituted_for" not in made


async def test_a_personas_foreign_face_stays_in_its_file(client: httpx.AsyncClient, home: Path) -> None:
    body = {"persona_name": "Bo", "system_prompt": "Be Bo.", "default_face_id": "r6e055828f63"}
    made = await post(client, "/v2/pals", **body)
    assert made["default_replica_id"] == made["default_face_id"] == "r6e055828f63" and made["substituted_for"]
    from cvi.face.replica import find_replica
    from cvi.persona.loading import load_persona

    persona = load_persona(home / "personas" / "bo.yaml")
    assert persona.default_replica_id == "r6e055828f63"
    assert find_replica(persona.default_replica_id).name == made["substituted_for"][0]["name"]
    talk = await post(client, "/v2/conversations", pal_id=made["pal_id"], **UNREAL)
    assert talk["replica_id"] == "r6e055828f63"


async def test_webhook_film_and_worker_have_the_id_that_was_sent(
    client: httpx.AsyncClient, home: Path
) -> None:
    made = await create(client, replica_id="r4067604db72")
    spec = home / "conversations" / made["conversation_id"] / "spec.json"
    await until(spec.exists)
    start = json.loads(spec.read_text())
    assert start["replica_id"] == "r4067604db72" and start["replica"] == "june"
    film = await post(client, "/v2/videos", face_id="rf4703150052", script="Hi.")
    assert film["replica_id"] == "rf4703150052" and film["substituted_for"][0]["sent"] == "rf4703150052"


async def test_nothing_stands_for_what_was_deleted_here(client: httpx.AsyncClient) -> None:
    made = await post(client, "/v2/personas", persona_name="Bo", system_prompt="Be Bo.")
    assert (await client.delete(f"/v2/personas/{made['persona_id']}")).status_code == 204
    for answer in (
        await client.get(f"/v2/personas/{made['persona_id']}"),
        await client.post("/v2/conversations", json={"persona_id": made["persona_id"], **UNREAL}),
    ):
        assert answer.status_code == 400 and answer.json() == {"error": "Invalid persona_id"}


@pytest.mark.parametrize(
    "id", ["nobody", "r", "rxyz", "p9a95912", "R79E1C033F", "r79e1c033f; x", "r" + "a" * 40]
)
async def test_what_has_no_ids_shape_is_unknown(client: httpx.AsyncClient, id: str) -> None:
    answer = await client.post("/v2/conversations", json={"replica_id": id, **UNREAL})
    assert answer.status_code == 400 and answer.json() == {"error": "Invalid replica_id"}


async def test_strict_ids_are_those_of_this_machine(home: Path) -> None:
    async with serving(strict_ids=True) as client:
        for field, id in (("replica_id", "r79e1c033f"), ("persona_id", "pd43ffef")):
            answer = await client.post("/v2/conversations", json={field: id, **UNREAL})
            assert answer.status_code == 400 and answer.json() == {"error": f"Invalid {field}"}
        assert (await post(client, "/v2/conversations", persona_id="pipecat0", **UNREAL))["status"] == "ended"


@pytest.mark.parametrize("path", ["/v2/interactions", "/v2/interactions/broadcast", "/v2/interactions/"])
async def test_an_interaction_names_its_conversation_in_the_body(
    client: httpx.AsyncClient, path: str
) -> None:
    made = await create(client)
    event = {
        "message_type": "conversation",
        "event_type": "conversation.respond",
        "properties": {"text": "Hi."},
    }
    answer = await client.post(path, json={**event, "conversation_id": made["conversation_id"]})
    assert answer.status_code == 202 and answer.json()["conversation_id"] == made["conversation_id"]
    unknown = await client.post(path, json={**event, "conversation_id": "c1"})
    assert unknown.status_code == 400 and unknown.json() == {"error": "Invalid conversation_id"}
    nameless = await client.post(path, json=event)
    assert nameless.status_code == 400 and "conversation_id" in nameless.json()["error"]


@pytest.mark.parametrize(
    ("kind", "properties", "told"),
    [
        ("overwrite_llm_context", {"text": "x"}, "properties.context"),
        ("append_llm_context", {"text": "x"}, "properties.context"),
        ("append_llm_context", {"context": " "}, "properties.context"),
        ("echo", {"modality": "speech", "text": "x"}, "modality"),
        ("echo", {"modality": "text"}, "properties.text"),
        ("echo", {"modality": "audio", "audio": "%%%"}, "base64"),
        ("echo", {"modality": "audio", "audio": ""}, "audio"),
        ("echo", {"modality": "audio"}, "audio"),
        ("respond", {"speech": "x"}, "properties.text"),
        ("sensitivity", {}, "sensitivity"),
        ("sensitivity", {"participant_pause_sensitivity": "huge"}, "sensitivity"),
        ("tool_result", {"tool_call_id": "x", "output": "1", "status": "success"}, "tool call"),
        ("tool_result", {"output": "1"}, "tool_call_id"),
        ("interrupt_now", {}, "event_type"),
    ],
)
async def test_what_cannot_act_is_refused_at_once(
    client: httpx.AsyncClient, kind: str, properties: dict, told: str
) -> None:
    made = await create(client)
    event = {"event_type": f"conversation.{kind}", "properties": properties}
    for path in (f"/v2/conversations/{made['conversation_id']}/interactions", "/v2/interactions"):
        answer = await client.post(path, json={**event, "conversation_id": made["conversation_id"]})
        assert answer.status_code == 400 and told in answer.json()["error"], answer.text


async def test_a_set_of_guardrails_stays_in_the_list(client: httpx.AsyncClient) -> None:
    rule = {"guardrail_name": "no_x", "guardrail_prompt": "never x"}
    group = await post(client, "/v2/guardrails", name="set", data=[rule])
    flat = await post(client, "/v2/guardrails", **rule)

    async def listed(query: str) -> set[str]:
        return {row["uuid"] for row in (await client.get(f"/v2/guardrails?limit=100{query}")).json()["data"]}

    assert await listed("") == {group["uuid"], flat["uuid"]}
    assert await listed("&name_or_uuid=set") == {group["uuid"]}
    assert await listed("&legacy=true") == {group["uuid"]} and await listed("&legacy=false") == {flat["uuid"]}


MAY_BE_NULL = {
    "error_message",
    "thumbnail_video_url",
    "thumbnail_image_url",
    "audio_url",
    "download_url",
    "stream_url",
}
"""Texts that the contract says may be null; decoders made from its types accept it for these."""
MADE = {
    "personas": {"persona_name": "A", "system_prompt": "x"},
    "objectives": {"data": [{"objective_name": "a", "objective_prompt": "b"}]},
    "guardrails": {"guardrail_name": "a", "guardrail_prompt": "b"},
    "tools": {"name": "a", "description": "b", "delivery": {"app_message": True}},
    "documents": {"document_url": "https://93.184.216.34/a.pdf"},
    "pronunciation-dictionaries": {"name": "a", "rules": []},
    "deployments": {"persona_id": "guide", "channel": "embed"},
    "videos": {"replica_id": "june", "script": "Hi."},
    "conversations": {"replica_id": "june", **UNREAL},
}


@pytest.mark.parametrize("path", [*MADE, "replicas", "faces", "pals", "voices", "skills", "transcriptions"])
async def test_no_list_number_or_object_is_null(client: httpx.AsyncClient, path: str) -> None:
    if path in MADE:
        made = await client.post(f"/v2/{path}", json=MADE[path])
        assert made.status_code in (200, 201), made.text
        assert nulls(made.json()) <= MAY_BE_NULL
    assert nulls((await client.get(f"/v2/{path}")).json()) <= MAY_BE_NULL


def nulls(value: Any, at: str = "") -> set[str]:
    """The names of the members that are null, however deep."""
    if isinstance(value, dict):
        return set().union(*(nulls(each, key) for key, each in value.items())) if value else set()
    if isinstance(value, list):
        return set().union(*(nulls(each, at) for each in value)) if value else set()
    return {at} if value is None else set()


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ({"tts": {"tts_engine": "hume", "tts_model_name": "octave"}}, "layers.tts.tts_engine"),
        ({"stt": {"stt_engine": "assemblyai"}}, "layers.stt.stt_engine"),
        ({"llm": {"model": "gpt-4o"}}, "layers.llm.model"),
        ({"llm": {"engine": "vllm"}}, "layers.llm.engine"),
        ({"tts": {"tts_engine": "tavus-auto"}}, None),
        ({"tts": {"tts_engine": "cartesia", "tts_model_name": "sonic-3", "external_voice_id": "x"}}, None),
        ({"llm": {"model": "tavus-gemma-4"}}, None),
    ],
)
async def test_an_engine_that_is_not_here_falls_back_and_says_so(
    client: httpx.AsyncClient, home: Path, layers: dict, field: str | None
) -> None:
    persona = await post(client, "/v2/personas", persona_name="A", system_prompt="x", layers=layers)
    rows = [row for row in persona["not_in_effect"] if "takes its place" in row["why"]]
    assert [row["field"] for row in rows] == ([field] if field else [])
    made = await post(client, "/v2/conversations", persona_id=persona["persona_id"])
    assert [row for row in made["not_in_effect"] if "takes its place" in row["why"]] == rows
    spec = home / "conversations" / made["conversation_id"] / "spec.json"
    await until(spec.exists)
    from cvi.engines import resolve
    from cvi.persona.schema import Persona

    chosen = resolve(
        Persona.model_validate(json.loads(spec.read_text())["persona"]), replica="june", profile="embedded"
    )
    assert (chosen.tts.engine, chosen.stt.engine, chosen.llm.engine) == ("flite", "pocketsphinx", "llama-cpp")
    assert chosen.llm.model is None


async def test_an_absent_body_and_a_foreign_page_are_told_what_to_do(client: httpx.AsyncClient) -> None:
    assert "no body" in (await client.post("/v2/conversations")).json()["error"]
    page = {"origin": "http://localhost:5173"}
    answer = await client.post("/v2/conversations", json=UNREAL, headers=page)
    assert answer.status_code == 401 and "--cors-origin http://localhost:5173" in answer.json()["message"]
