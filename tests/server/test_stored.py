"""What the contract stores: objectives, guardrails, tools, documents, dictionaries and the rest."""

from __future__ import annotations

import asyncio
import json
import sys

import httpx
import pytest
from place import place
from running import serving

from cvi.server.jobs.render_job import RenderJob, film_path

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
        ("guardrails", {"name": "set", "data": [RULE]}, "guardrails_id", 200, {"error": "Guardrail not found"}),
        ("tools", TOOL, "tool_id", 200, {"message": "Tool not found"}),
        ("documents", PAGE, "document_id", 200, {"message": "Document not found"}),
        ("pronunciation-dictionaries", WORDS, "pronunciation_dictionary_id", 201, {"message": "Pronunciation dictionary not found"}),
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
        [{**STEP, "next_required_objective": "b"}, {"objective_name": "b", "objective_prompt": "x", "next_required_objective": "ask"}],
        [{**STEP, "callback_url": "http://127.0.0.1/"}],
        [5],
    ],
)
async def test_objectives_that_contradict_themselves(client: httpx.AsyncClient, data: list) -> None:
    for path in ("/v2/objectives", "/v2/objectives/validate"):
        assert (await client.post(path, json={"data": data})).status_code == 400
    assert (await client.get("/v2/objectives")).json()["total_count"] == 0


async def test_circles_are_allowed_on_request(client: httpx.AsyncClient) -> None:
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

    assert [await count(query) for query in ("", "legacy=true", "tags=b,c", "tags=c", "name_or_uuid=CAL", "type=system")] == [1, 1, 1, 0, 1, 0]
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
async def test_wrong_tools(client: httpx.AsyncClient, change: dict) -> None:
    assert (await client.post("/v2/tools", json={**TOOL, **change})).status_code == 400


async def test_documents_are_kept_and_nothing_claims_to_have_read_them(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v2/documents", json=PAGE)).json()
    assert (made["status"], made["document_name"], made["progress"]) == ("started", "manual.pdf", 0)
    where = f"/v2/documents/{made['document_id']}"
    changed = (await client.patch(where, json={"tags": ["other"]})).json()
    assert changed["tags"] == ["other"] and changed["document_name"] == "manual.pdf"
    assert (await client.get("/v2/documents/tags")).json()["tags"] == ["other"]
    assert (await client.get(f"{where}/chunks")).json()["data"] == []
    assert (await client.post(f"{where}/recrawl")).status_code == 400
    assert (await client.post(f"{where}/recrawl", json={"crawl": {"depth": 1}})).status_code == 501
    assert (await client.post("/v2/documents", json={"document_url": "http://127.0.0.1/x"})).status_code == 400
    assert (await client.get("/v2/documents?status=ready")).json()["total_count"] == 0


async def test_dictionaries_change_by_name_and_rules_alone(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v2/pronunciation-dictionaries", json=WORDS)).json()
    where = f"/v2/pronunciation-dictionaries/{made['uuid']}"

    async def patch(path: str, value: object) -> int:
        return (await client.patch(where, json=[{"op": "replace", "path": path, "value": value}])).status_code

    assert [await patch("/name", "New"), await patch("/name", "New"), await patch("/uuid", "x"), await patch("/name", "")] == [200, 304, 422, 400]
    listed = (await client.get("/v2/pronunciation-dictionaries?page=0")).json()
    assert "rules" not in listed["data"][0] and (listed["page"], listed["limit"]) == (0, 10)
    twice = {**WORDS, "rules": WORDS["rules"] * 2}
    assert (await client.post("/v2/pronunciation-dictionaries", json=twice)).status_code == 400


async def test_deployments_are_kept_and_not_live(client: httpx.AsyncClient) -> None:
    body = {"pal_id": "guide", "channel": "embed", "name": "Site", "status": "active"}
    made = (await client.post("/v2/deployments", json=body)).json()
    assert made["status"] == "inactive" and made["pal_id"].startswith("p")
    where = f"/v2/deployments/{made['deployment_id']}"
    change = [{"op": "replace", "path": "/name", "value": "Other"}, {"op": "replace", "path": "/status", "value": "active"}]
    changed = (await client.patch(where, json=change)).json()
    assert (changed["name"], changed["status"]) == ("Other", "inactive")
    assert (await client.get(f"/v2/deployments?pal_id={made['pal_id']}")).json()["total"] == 1
    assert (await client.delete(where)).status_code == 204 and (await client.get(where)).status_code == 404


async def test_skills_tools_and_memories_of_a_persona(client: httpx.AsyncClient) -> None:
    pal = (await client.post("/v2/pals", json={"pal_name": "Ada", "system_prompt": "Be Ada."})).json()["pal_id"]
    assert (await client.put(f"/v2/pals/{pal}/skills/memory", json={"config": {"a": 1}})).status_code == 200
    assert (await client.patch(f"/v2/pals/{pal}/skills/memory", json={"config": {"b": 2}})).json()["config"] == {"a": 1, "b": 2}
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


# In the place of the process that renders: a script with "fail" in it cannot be spoken.
RENDER = """
import json, pathlib, sys
request = json.loads(sys.stdin.readline())
tell = lambda **message: print(json.dumps(message), flush=True)
if "fail" in (request["text"] or ""):
    tell(type="failed", message="The script cannot be spoken.")
    sys.exit(2)
tell(type="progress", stage="picture", done=1, of=2)
sound = pathlib.Path(request["audio"]).read_bytes() if request["audio"] else request["replica"].encode()
pathlib.Path(request["output"]).write_bytes(b"film of " + sound)
tell(type="succeeded")
"""


@pytest.fixture(autouse=True)
def quick_films(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {**RenderJob.__init__.__kwdefaults__, "command": (sys.executable, "-c", RENDER)}
    monkeypatch.setattr(RenderJob.__init__, "__kwdefaults__", defaults)


async def test_films_are_rendered_in_turn_and_told(client: httpx.AsyncClient) -> None:
    made = []
    for script in ("Hello.", "fail"):
        body = {"replica_id": "june", "script": script, "callback_url": "https://93.184.216.34/hook"}
        made.append((await client.post("/v2/videos", json=body)).json())
    assert made[0]["status"] == "queued" and made[0]["face_id"] == made[0]["replica_id"]

    good, bad = [await settled(client, video) for video in made]
    assert (good["status"], bad["status"]) == ("ready", "error")
    assert bad["error_details"] == "The script cannot be spoken." and good["data"] == {"script": "Hello."}
    assert (await client.get(good["download_url"])).content == b"film of june"
    assert (await client.get(bad["hosted_url"])).status_code == 404
    from cvi.server.jobs.webhook_delivery import list_webhooks
    from cvi.server.store.database import connect, database_path

    told = {message.stream: json.loads(message.body) for message in list_webhooks(connect(database_path()), 10)}
    assert told[good["video_id"]]["generation_progress"] == "100/100"
    renamed = await client.patch(f"/v2/videos/{good['video_id']}/name", json={"video_name": "Mine"})
    assert renamed.json()["video_name"] == "Mine"
    assert (await client.delete(f"/v2/videos/{good['video_id']}")).status_code == 200
    assert not film_path(good["video_id"]).parent.exists()


async def test_a_film_of_recorded_speech_is_fetched_first(home, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "/good.wav": (200, b"RIFF\x00\x00\x00\x00WAVEfmt sound", ""),
        "/list.m3u8": (200, b"#EXTM3U\nfile:///etc/passwd", ""),
        "/gone.wav": (404, b"", ""),
        "/moved.wav": (302, b"", "/good.wav"),
        "/inner.wav": (302, b"", "http://10.0.0.1/secret.wav"),
        "/large.wav": (200, b"RIFF" + b"x" * 5000, ""),
    }
    monkeypatch.setattr("cvi.server.jobs.render_job.MOST_SPEECH_BYTES", 4000)
    async with place(answers) as url, serving(urls_to=("127.0.0.1",)) as client:
        made = {}
        for name in answers:
            answer = await client.post("/v2/videos", json={"replica_id": "june", "audio_url": url + name})
            assert answer.status_code == 200, answer.text
            made[name] = answer.json()
        found = {name: await settled(client, video) for name, video in made.items()}
        assert {name: video["status"] for name, video in found.items()} == {
            name: "ready" if name in ("/good.wav", "/moved.wav") else "error" for name in answers
        }
        assert (await client.get(found["/good.wav"]["download_url"])).content.startswith(b"film of RIFF")
        assert found["/good.wav"]["data"] == {"audio_url": url + "/good.wav"}
        assert "no sound" in found["/list.m3u8"]["error_details"]
        assert "404" in found["/gone.wav"]["error_details"]
        assert "10.0.0.1" in found["/inner.wav"]["error_details"]
        assert "larger" in found["/large.wav"]["error_details"]
        for name in ("/list.m3u8", "/large.wav"):
            kept = film_path(made[name]["video_id"]).parent
            assert not kept.exists() or not list(kept.iterdir())


async def settled(client: httpx.AsyncClient, video: dict) -> dict:
    for _ in range(1000):
        found = (await client.get(f"/v2/videos/{video['video_id']}")).json()
        if found["status"] in ("ready", "error"):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it is never done")


async def test_films_that_cannot_be(client: httpx.AsyncClient) -> None:
    sound = "https://93.184.216.34/a.wav"
    for body, status in (
        ({}, 400),
        ({"replica_id": "june"}, 400),
        ({"replica_id": "june", "script": "Hi.", "audio_url": sound}, 400),
        ({"replica_id": "nobody", "script": "Hi."}, 400),
        ({"replica_id": "june", "script": "Hi.", "callback_url": "http://10.0.0.1/"}, 400),
        ({"replica_id": "june", "audio_url": "http://10.0.0.1/a.wav"}, 400),
    ):
        assert (await client.post("/v2/videos", json=body)).status_code == status
    assert (await client.get("/v2/videos?page=0")).json() == {"data": [], "total_count": 0}
    assert (await client.get("/v2/videos/v1")).json() == {"error": "Invalid video_id"}
