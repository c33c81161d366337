"""Stored resources: objectives, guardrails, tools, documents, dictionaries, deployments, skills."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx
import pytest

STEP = {"objective_name": "ask", "objective_prompt": "Ask."}
RULE = {"guardrail_name": "calm", "guardrail_prompt": "Stay calm."}
TOOL = {"name": "look_up", "description": "Looks things up.", "delivery": {"app_message": True}}
WORDS = {"name": "Ours", "rules": [{"text": "cvi", "pronunciation": "see vee eye", "type": "alias"}]}
PAGE = {"document_url": "https://93.184.216.34/manual.pdf", "tags": ["manual"]}


@pytest.mark.parametrize(
    ("path", "body", "id", "status", "missing"),
    [
        ("objectives", {"data": [STEP]}, "objectives_id", 200, {"error": "Objectives not found"}),
        ("guardrails", RULE, "uuid", 200, {"error": "Guardrail not found"}),
        (
            "guardrails",
            {"name": "set", "data": [RULE]},
            "guardrails_id",
            200,
            {"error": "Guardrail not found"},
        ),
        ("tools", TOOL, "tool_id", 200, {"message": "Tool not found"}),
        ("documents", PAGE, "document_id", 200, {"message": "Document not found"}),
        (
            "pronunciation-dictionaries",
            WORDS,
            "pronunciation_dictionary_id",
            201,
            {"message": "Pronunciation dictionary not found"},
        ),
    ],
)
async def test_created_found_listed_and_deleted(
    client: httpx.AsyncClient, path: str, body: dict, id: str, status: int, missing: dict
) -> None:
    made = await client.post(f"/v2/{path}/", json=body)
    assert made.status_code == status, made.text
    where = f"/v2/{path}/{made.json()[id]}"
    assert (await client.get(where)).json() == made.json()
    legacy = "&legacy=true" if "data" in body and path == "guardrails" else ""
    first = 0 if path in ("documents", "pronunciation-dictionaries") else 1
    listed = (await client.get(f"/v2/{path}?limit=5&page={first}{legacy}")).json()
    assert listed["total_count"] == 1 and listed["data"][0][id] == made.json()[id]
    assert (await client.get(f"/v2/{path}?page=2{legacy}")).json()["data"] == []
    gone = await client.delete(where)
    assert gone.status_code == 204 and gone.content == b""
    for method in ("GET", "DELETE"):
        answer = await client.request(method, where)
        assert answer.status_code == 404 and answer.json() == missing


@pytest.mark.parametrize(
    "data",
    [
        [],
        [{"objective_name": "has space", "objective_prompt": "x"}],
        [STEP, STEP],
        [{**STEP, "next_required_objective": "nobody"}],
        [{**STEP, "next_required_objective": "ask"}],
        [
            {**STEP, "next_required_objective": "b"},
            {"objective_name": "b", "objective_prompt": "x", "next_required_objective": "ask"},
        ],
        [{**STEP, "callback_url": "http://127.0.0.1/"}],
        [5],
    ],
)
async def test_contradictory_objectives_are_refused(client: httpx.AsyncClient, data: list) -> None:
    for path in ("/v2/objectives", "/v2/objectives/validate"):
        assert (await client.post(path, json={"data": data})).status_code == 400
    assert (await client.get("/v2/objectives")).json()["total_count"] == 0


async def test_loops_of_objectives_are_allowed_on_request(client: httpx.AsyncClient) -> None:
    data = [
        {**STEP, "next_required_objective": "b"},
        {"objective_name": "b", "objective_prompt": "x", "next_required_objective": "ask"},
    ]
    assert (await client.post("/v2/objectives", json={"data": data, "allow_loops": True})).status_code == 200


async def test_objectives_are_patched_as_set_and_as_item(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v2/objectives", json={"data": [STEP], "name": "steps"})).json()
    where = f"/v2/objectives/{made['objectives_id']}"
    for path in ("/data/0/objective_prompt", "/objective_prompt"):
        change = [{"op": "replace", "path": path, "value": f"via {path}"}]
        assert (await client.patch(where, json=change)).status_code == 200
        assert (await client.patch(where, json=change)).status_code == 304
        assert (await client.get(where)).json()["data"][0]["objective_prompt"] == f"via {path}"
    wrong = [{"op": "replace", "path": "/data/7/objective_prompt", "value": "x"}]
    assert (await client.patch(where, json=wrong)).status_code == 422
    assert (await client.patch("/v2/objectives/onothing", json=[])).status_code == 404


async def test_guardrails_by_shape_name_and_tag(client: httpx.AsyncClient) -> None:
    await client.post("/v2/guardrails", json={**RULE, "tags": ["a", "b"]})
    await client.post("/v2/guardrails", json={"data": [RULE]})

    async def count(query: str) -> int:
        return (await client.get(f"/v2/guardrails?{query}")).json()["total_count"]

    assert [
        await count(query)
        for query in ("", "legacy=true", "tags=b,c", "tags=c", "name_or_uuid=CAL", "type=system")
    ] == [2, 1, 1, 0, 2, 0]
    assert (await client.get("/v2/guardrails/tags")).json()["tags"] == ["a", "b"]
    assert (await client.post("/v2/guardrails", json={"guardrail_name": "x"})).status_code == 400


async def test_a_tools_secrets_are_masked_and_survive_a_patch(client: httpx.AsyncClient) -> None:
    auth = {"type": "api_key", "name": "k", "value": "hidden", "location": "header"}
    api = {"url": "https://93.184.216.34/{id}", "headers": {"X-Any": "hidden"}, "auth": auth}
    made = (await client.post("/v2/tools", json={**TOOL, "delivery": {"api": api}})).json()
    assert "hidden" not in str(made) and made["delivery"]["api"]["auth"]["value"] == "********"
    assert made["delivery"]["api"]["auth"]["name"] == "k"
    where = f"/v2/tools/{made['tool_id']}"
    sent = {"description": "Other.", "delivery": made["delivery"]}
    assert (await client.patch(where, json=sent)).json()["description"] == "Other."
    from cvi.server.store import resources
    from cvi.server.store.database import connect, database_path

    kept = resources.get(connect(database_path()), "tools", made["tool_id"])
    assert kept.document["delivery"]["api"]["auth"]["value"] == "hidden"
    assert kept.document["delivery"]["api"]["headers"] == {"X-Any": "hidden"}


@pytest.mark.parametrize("field", ["url", "token_url"])
async def test_a_tools_secrets_do_not_follow_a_changed_address(client: httpx.AsyncClient, field: str) -> None:
    auth = {"type": "oauth2_client_credentials", "token_url": "https://93.184.216.34/token"}
    auth |= {"client_id": "a", "client_secret": "hidden"}
    api = {"url": "https://93.184.216.34/{id}", "headers": {"X-Any": "hidden"}, "auth": auth}
    made = (await client.post("/v2/tools", json={**TOOL, "delivery": {"api": api}})).json()
    where, shown = f"/v2/tools/{made['tool_id']}", made["delivery"]["api"]
    assert (await client.patch(where, json={"delivery": {"api": shown}})).status_code == 200, "as it was"
    (shown if field == "url" else shown["auth"])[field] = "https://8.8.8.8/token"
    refused = await client.patch(where, json={"delivery": {"api": shown}})
    assert refused.status_code == 400 and "another host" in refused.json()["error"], refused.text
    shown["auth"] |= {"client_secret": "new", "token_url": "https://8.8.8.8/token"}
    shown["headers"]["X-Any"] = "new"
    assert (await client.patch(where, json={"delivery": {"api": shown}})).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"name": "has space"},
        {"name": None},
        {"delivery": {"app_message": True, "api": {"url": "https://x.org"}}},
        {"delivery": {"api": {"url": "http://10.0.0.1/"}}},
        {"parameters": {"type": "object", "properties": {"tavus_x": {}}}},
        {"description": "x" * 10_001},
    ],
)
async def test_invalid_tools_are_refused(client: httpx.AsyncClient, change: dict) -> None:
    assert (await client.post("/v2/tools", json={**TOOL, **change})).status_code == 400


async def test_documents_are_stored_changed_and_found(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v2/documents", json=PAGE)).json()
    assert (made["status"], made["document_name"], made["progress"]) == ("started", "manual.pdf", 0)
    where = f"/v2/documents/{made['document_id']}"
    changed = (await client.patch(where, json={"tags": ["other"]})).json()
    assert changed["tags"] == ["other"] and changed["document_name"] == "manual.pdf"
    assert (await client.get("/v2/documents/tags")).json()["tags"] == ["other"]
    assert (await client.get(f"{where}/chunks")).json()["data"] == []
    assert (await client.post(f"{where}/recrawl")).status_code == 400
    assert (
        await client.post("/v2/documents", json={"document_url": "http://127.0.0.1/x"})
    ).status_code == 400
    assert (await client.get("/v2/documents?status=ready")).json()["total_count"] == 0


async def test_dictionaries_change_by_name_and_rules_alone(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v2/pronunciation-dictionaries", json=WORDS)).json()
    where = f"/v2/pronunciation-dictionaries/{made['uuid']}"

    async def patch(path: str, value: object) -> int:
        return (await client.patch(where, json=[{"op": "replace", "path": path, "value": value}])).status_code

    assert [
        await patch("/name", "New"),
        await patch("/name", "New"),
        await patch("/uuid", "x"),
        await patch("/name", ""),
    ] == [200, 304, 422, 400]
    listed = (await client.get("/v2/pronunciation-dictionaries?page=0")).json()
    assert "rules" not in listed["data"][0] and (listed["page"], listed["limit"]) == (0, 10)
    twice = {**WORDS, "rules": WORDS["rules"] * 2}
    assert (await client.post("/v2/pronunciation-dictionaries", json=twice)).status_code == 400


async def test_deployments_are_stored_and_stay_inactive(client: httpx.AsyncClient) -> None:
    body = {"pal_id": "guide", "channel": "embed", "name": "Site", "status": "active"}
    made = (await client.post("/v2/deployments", json=body)).json()
    assert made["status"] == "inactive" and made["pal_id"].startswith("p")
    where = f"/v2/deployments/{made['deployment_id']}"
    change = [
        {"op": "replace", "path": "/name", "value": "Other"},
        {"op": "replace", "path": "/status", "value": "active"},
    ]
    changed = (await client.patch(where, json=change)).json()
    assert (changed["name"], changed["status"]) == ("Other", "inactive")
    assert (await client.get(f"/v2/deployments?pal_id={made['pal_id']}")).json()["total"] == 1
    assert (await client.delete(where)).status_code == 204 and (await client.get(where)).status_code == 404


async def test_skills_tools_and_memories_of_a_persona(client: httpx.AsyncClient) -> None:
    pal = (await client.post("/v2/pals", json={"pal_name": "Ada", "system_prompt": "Be Ada."})).json()[
        "pal_id"
    ]
    assert (await client.put(f"/v2/pals/{pal}/skills/memory", json={"config": {"a": 1}})).status_code == 200
    assert (await client.patch(f"/v2/pals/{pal}/skills/memory", json={"config": {"b": 2}})).json()[
        "config"
    ] == {"a": 1, "b": 2}
    assert (await client.get(f"/v2/pals/{pal}/skills/")).json()["total_count"] == 1
    assert (await client.delete(f"/v2/pals/{pal}/skills/memory")).status_code == 204
    assert (await client.delete(f"/v2/pals/{pal}/skills/memory")).status_code == 404
    tool = (await client.post("/v2/tools", json=TOOL)).json()["tool_id"]
    assert (await client.post(f"/v2/pals/{pal}/tools/", json={"tool_ids": [tool]})).status_code == 200
    assert (await client.post(f"/v2/pals/{pal}/tools/", json={"tool_ids": ["tnone"]})).status_code == 400
    assert (await client.get(f"/v2/pals/{pal}/tools/")).json()["data"][0]["name"] == "look_up"
    assert (await client.delete(f"/v2/pals/{pal}/tools/{tool}")).status_code == 204
    assert (await client.get("/v2/memories/anna")).json() == {"data": [], "total_count": 0}
    assert (await client.delete("/v2/memories/anna/m1")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("objectives", {"data": [STEP]}, []),
        (
            "objectives",
            {"data": [STEP, {"objective_name": "b", "objective_prompt": "x", "modality": "visual"}]},
            ["data[1].modality"],
        ),
        ("guardrails", {**RULE, "modality": "visual"}, ["modality"]),
        ("tools", {**TOOL, "tags": ["a"]}, ["tags"]),
        ("documents", {**PAGE, "custom_description": "All of it."}, ["custom_description"]),
        ("pronunciation-dictionaries", WORDS, ["rules"]),
        ("deployments", {"pal_id": "guide", "channel": "embed"}, ["status"]),
    ],
)
async def test_answers_say_what_has_no_effect_and_why(
    client: httpx.AsyncClient, path: str, body: dict, fields: list
) -> None:
    made = (await client.post(f"/v2/{path}", json=body)).json()
    assert [each["field"] for each in made["not_in_effect"]] == fields
    assert all(each["why"] for each in made["not_in_effect"])


async def test_a_persona_says_what_of_it_has_no_effect(client: httpx.AsyncClient) -> None:
    body = {
        "pal_name": "Ada",
        "system_prompt": "Be Ada.",
        "context": "It rains.",
        "tool_ids": ["t1"],
        "memory": {"remember": True},
    }
    pal = (await client.post("/v2/pals", json=body)).json()
    by_field = {each["field"]: each["remedy"] for each in pal["not_in_effect"]}
    # The server's profile is `embedded`, whose model is very small.
    assert set(by_field) == {"context", "tool_ids", "memory.remember"}
    back = [
        {"op": "add", "path": "/greeting", "value": "Hi."},
        {"op": "add", "path": "/not_in_effect", "value": []},
    ]
    changed = (await client.patch(f"/v2/pals/{pal['pal_id']}", json=back)).json()
    assert changed["not_in_effect"] == pal["not_in_effect"]
    unknown = {"pal_id": pal["pal_id"], "document_ids": ["d1"], "test_mode": True}
    refused = await client.post("/v2/conversations", json=unknown)
    assert refused.status_code == 400 and "d1" in refused.text


async def test_changes_at_the_same_time_all_stand(client: httpx.AsyncClient) -> None:
    """Of a stored resource and of a persona's file."""
    made = (await client.post("/v2/objectives", json={"data": [{"objective_name": "a", "objective_prompt": "b"}]})).json()
    ada = (await client.post("/v2/personas", json={"persona_name": "Ada", "system_prompt": "x"})).json()["persona_id"]

    def add(number: int) -> Coroutine[Any, Any, httpx.Response]:
        one = {"objective_name": f"n{number}", "objective_prompt": "p"}
        return client.patch(f"/v2/objectives/{made['objectives_id']}", json=[{"op": "add", "path": "/data/-", "value": one}])

    skills = (client.put(f"/v2/personas/{ada}/skills/s{number}", json={"config": {}}) for number in range(8))
    answers = await asyncio.gather(*map(add, range(8)), *skills)
    assert {answer.status_code for answer in answers} == {200}
    assert len((await client.get(f"/v2/objectives/{made['objectives_id']}")).json()["data"]) == 9
    assert (await client.get(f"/v2/personas/{ada}/skills")).json()["total_count"] == 8
