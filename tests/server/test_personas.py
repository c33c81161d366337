"""Personas and replicas through the API, and the same files read by the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import create, serving, until

from cvi.face.replica import list_replicas
from cvi.face.replica_ids import WELL_KNOWN
from cvi.persona.loading import check_persona, load_persona
from cvi.server.catalog.persona_document import check, write_persona
from cvi.server.catalog.persona_store import PersonaStore
from cvi.server.catalog.replica_store import ReplicaStore
from cvi.server.catalog.well_known_ids import PERSONAS
from cvi.server.store.database import connect, database_path, transact
from cvi.server.store.keys import create_key

ADA = {"persona_name": "Ada", "system_prompt": "You are Ada."}


async def made(client: httpx.AsyncClient, **fields) -> dict:
    answer = await client.post("/v2/personas", json={**ADA, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_persona_is_a_file_that_the_command_line_reads(client: httpx.AsyncClient, home: Path) -> None:
    face = (await client.get("/v2/faces")).json()["data"][-1]
    layers = {
        "llm": {"model": "tavus-gemma-4", "api_key": "sk-secret", "unknown": 1},
        "tts": {"tts_engine": "cartesia", "voice_settings": {"speed": "slow"}},
        "retired_layer": {"x": 1},
    }
    ada = await made(
        client, default_replica_id=face["face_id"], greeting="off", layers=layers, brand_new_field=3
    )
    path = home / "personas" / "ada.yaml"
    assert not [finding for finding in check_persona(path) if finding.severity == "error"]
    persona = load_persona("ada")
    assert persona.greeting == "off" and persona.layers.tts.speed == 0.85
    assert persona.default_replica_id in list_replicas()
    assert persona.layers.llm.api_key.get_secret_value() == "sk-secret"
    assert path.stat().st_mode & 0o077 == 0
    found = (await client.get(f"/v2/pals/{ada['pal_id']}")).json()
    assert found["pal_name"] == found["persona_name"] == "Ada" and found["default_face_id"] == face["face_id"]
    assert found["data"][0]["persona_id"] == ada["persona_id"]
    assert "sk-secret" not in str(found) and found["layers"]["llm"]["api_key"] == "********"


async def test_a_taken_name_gets_another_file_and_ids_stay(client: httpx.AsyncClient, home: Path) -> None:
    first, second = await made(client), await made(client)
    assert first["persona_id"] != second["persona_id"]
    assert sorted(path.name for path in (home / "personas").iterdir()) == ["ada.yaml", "ada_2.yaml"]
    guide = await made(client, persona_name="guide")
    assert guide["persona_type"] == "user" and (home / "personas" / "guide_2.yaml").is_file()
    (home / "personas" / "mine.yaml").write_text(yaml.safe_dump(ADA))
    listed = (await client.get("/v2/personas?persona_type=user&limit=100")).json()
    again = (await client.get("/v2/personas?persona_type=user&limit=100")).json()
    assert listed == again and listed["total_count"] == 4
    assert (await client.get("/v2/personas/mine")).json()["persona_name"] == "Ada"


async def test_lists_page_from_one_and_zero_is_the_first_page_too(client: httpx.AsyncClient) -> None:
    ids = []
    for page in (1, 2, 3):
        rows = (await client.get(f"/v2/personas?limit=2&page={page}")).json()["data"]
        ids += [row["persona_id"] for row in rows]
    assert len(set(ids)) == 6
    zero = (await client.get("/v2/pals?limit=2&page=0")).json()["data"]
    assert [row["pal_id"] for row in zero] == ids[:2]


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([{"op": "replace", "path": "/persona_name", "value": "Bea"}], 200),
        ([{"op": "replace", "path": "/pal_name", "value": "Bea"}], 200),
        ([{"op": "add", "path": "/layers/llm/model", "value": "x"}], 200),
        ([{"op": "replace", "path": "/persona_name", "value": "Ada"}], 304),
        ([], 304),
        ([{"op": "replace", "path": "/system_prompt", "value": ""}], 400),
        ([{"op": "replace", "path": "/default_face_id", "value": "rnobody"}], 400),
        ([{"op": "remove", "path": "/nothing"}], 422),
        ([{"op": "jump", "path": "/persona_name"}], 422),
        ([{"op": "test", "path": "/persona_name", "value": "Eve"}], 422),
        ([{"op": "replace", "path": "", "value": 5}], 422),
    ],
)
async def test_patches(client: httpx.AsyncClient, operations: list, status: int) -> None:
    ada = await made(client)
    answer = await client.patch(f"/v2/pals/{ada['pal_id']}", json=operations)
    assert answer.status_code == status, answer.text
    assert status != 304 or answer.content == b""
    found = (await client.get(f"/v2/personas/{ada['persona_id']}")).json()
    named = bool(operations) and operations[0].get("value") == "Bea"
    assert found["persona_name"] == ("Bea" if named else "Ada")


async def test_a_patch_finds_the_key_whichever_way_the_file_spells_it(
    client: httpx.AsyncClient, home: Path
) -> None:
    ada = await made(client, layers={"tts": {"tts_engine": "cartesia"}})
    for path, value in (
        ("/layers/tts/engine", "espeak"),
        ("/layers/conversational_flow/pal_interruptibility", "low"),
    ):
        body = [{"op": "replace", "path": path, "value": value}]
        assert (await client.patch(f"/v2/personas/{ada['persona_id']}", json=body)).status_code == 200
    persona = load_persona("ada")
    assert persona.layers.tts.engine == "espeak"
    assert persona.layers.conversational_flow.replica_interruptibility == "low"


async def test_a_masked_secret_that_is_sent_back_changes_nothing(client: httpx.AsyncClient) -> None:
    ada = await made(client, layers={"llm": {"api_key": "sk-secret"}})
    body = [{"op": "replace", "path": "/layers/llm/api_key", "value": "********"}]
    assert (await client.patch(f"/v2/personas/{ada['persona_id']}", json=body)).status_code == 304
    assert load_persona("ada").layers.llm.api_key.get_secret_value() == "sk-secret"


async def test_only_own_personas_can_be_deleted(client: httpx.AsyncClient, home: Path) -> None:
    ada = await made(client)
    assert (await client.delete(f"/v2/personas/{ada['persona_id']}")).status_code == 204
    assert not list((home / "personas").iterdir())
    for method, body in (("DELETE", None), ("PATCH", [{"op": "add", "path": "/greeting", "value": "x"}])):
        answer = await client.request(method, "/v2/personas/guide", json=body)
        assert answer.status_code == 400 and "ships with cvi" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"persona_name": "Ada"},
        {**ADA, "pipeline_mode": "echo"},
        {**ADA, "default_replica_id": "rnobody"},
        {**ADA, "layers": {"llm": {"base_url": "nonsense"}}},
        {**ADA, "layers": [1]},
        {**ADA, "objectives": [{"objective_name": "has spaces", "objective_prompt": "x"}]},
        {**ADA, "persona_name": "x" * 300},
    ],
)
async def test_wrong_personas_are_refused_and_leave_no_file(
    client: httpx.AsyncClient, home: Path, body: dict
) -> None:
    answer = await client.post("/v2/personas", json=body)
    assert answer.status_code == 400 and answer.json()["error"]
    assert not (home / "personas").exists() or not list((home / "personas").iterdir())


async def test_speech_to_speech_is_501(client: httpx.AsyncClient) -> None:
    body = {"persona_name": "Ada", "pipeline_mode": "speech-to-speech"}
    assert (await client.post("/v2/personas", json=body)).status_code == 501


async def test_well_known_ids_exist(client: httpx.AsyncClient) -> None:
    for id in PERSONAS:
        found = await client.get(f"/v2/personas/{id}")
        assert found.status_code == 200 and found.json()["persona_id"] == id
    for id in WELL_KNOWN:
        assert (await client.get(f"/v2/replicas/{id}")).status_code == 200
    echo = await client.post("/v2/conversations", json={"persona_id": "pipecat0", "replica_id": "r79e1c033f"})
    assert echo.status_code == 200 and echo.json()["persona_id"] == "pipecat0"


# Unicode's, which pydantic takes off; str.strip() takes the separators \x1c to \x1f off as well.
_WHITE_SPACE = "".join(c for c in map(chr, range(0x3001)) if c.isspace() and c not in "\x1c\x1d\x1e\x1f")
_Text = st.text(max_size=30).filter(lambda text: text.strip())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=_Text,
    prompt=_Text,
    context=st.sampled_from(
        ["no", "1e3", "12:30", "~", "- a", "null", "0x1f", "#x", "a: b", "'", '"', "|", "\t", "off\n\n x"]
    ),
)
def test_whatever_a_client_writes_reads_back_the_same(
    tmp_path: Path, name: str, prompt: str, context: str
) -> None:
    path = tmp_path / "one.yaml"
    path.unlink(missing_ok=True)
    document = {"persona_name": name, "system_prompt": prompt, "context": context}
    write_persona(path, document, new=True)
    persona = load_persona(path)
    assert persona.system_prompt == prompt and persona.context == context
    assert persona.persona_name == name.strip(_WHITE_SPACE)


async def test_own_replicas_are_renamed_and_deleted(client: httpx.AsyncClient, home: Path) -> None:
    shutil.copytree(list_replicas()["june"], home / "replicas" / "mine")
    mine = (await client.get("/v2/replicas?replica_type=user")).json()["data"][0]
    assert mine["status"] == "completed" and mine["training_progress"] == "100/100"
    renamed = await client.patch(f"/v2/faces/{mine['face_id']}/name", json={"face_name": "Myself"})
    assert renamed.status_code == 200 and renamed.json()["replica_name"] == "Myself"
    assert (await client.delete(f"/v2/replicas/{mine['replica_id']}")).status_code == 200
    assert (home / "replicas" / ".deleted" / "mine").is_dir() and "mine" not in list_replicas()
    (home / "replicas" / ".deleted" / "mine").rename(home / "replicas" / "mine")
    assert (await client.delete(f"/v2/replicas/{mine['replica_id']}?hard=true")).status_code == 200
    assert not (home / "replicas" / "mine").exists()
    answer = await client.delete("/v2/replicas/june")
    assert answer.status_code == 400 and "ships" in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "Either train_video_url or train_image_url must be provided."),
        (
            {
                "train_video_url": "https://93.184.216.34/a.mp4",
                "train_image_url": "https://93.184.216.34/a.png",
            },
            400,
            "Only one",
        ),
        ({"train_image_url": "https://93.184.216.34/a.png"}, 400, "voice_name"),
        ({"train_video_url": "http://169.254.169.254/a.mp4"}, 400, "private network"),
    ],
)
async def test_invalid_training_requests_are_refused(
    client: httpx.AsyncClient, body: dict, status: int, told: str
) -> None:
    answer = await client.post("/v2/replicas", json=body)
    assert answer.status_code == status and told in answer.json()["error"]


async def test_voices_and_replica_filters(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v2/voices?limit=3&sort=asc")).json()
    assert set(answer) == {"data", "total_count", "page", "limit"} and answer["data"][0]["voice_name"]
    one = answer["data"][0]
    found = (
        await client.get(f"/v2/voices?search={one['voice_name']}&tag={one['tags'][0]['tag_name']}")
    ).json()
    assert one in found["data"]
    assert (await client.get("/v2/replicas?replica_ids=june,nothing")).json()["total_count"] == 1


async def test_objectives_guardrails_and_tools_reach_the_worker(
    client: httpx.AsyncClient, home: Path
) -> None:
    import json

    from running import until

    steps = {"data": [{"objective_name": "ask", "objective_prompt": "Ask the name."}]}
    objectives = (await client.post("/v2/objectives", json=steps)).json()["objectives_id"]
    rule = (
        await client.post(
            "/v2/guardrails", json={"guardrail_name": "No refunds!", "guardrail_prompt": "None."}
        )
    ).json()["uuid"]
    for name, tag in (("tagged", "shop"), ("other", "bar")):
        body = {"guardrail_name": name, "guardrail_prompt": "None.", "tags": [tag, "all"]}
        assert (await client.post("/v2/guardrails", json=body)).status_code == 200
    tool = (await client.post("/v2/tools", json={"name": "look", "description": "Look."})).json()["tool_id"]
    ada = await made(
        client, objectives_id=objectives, guardrail_ids=[rule], guardrail_tags=["shop"], tool_ids=[tool]
    )
    assert "guardrail_tags" not in json.dumps(ada.get("not_in_effect", []))
    talk = (await client.post("/v2/conversations", json={"persona_id": ada["persona_id"]})).json()
    path = home / "conversations" / talk["conversation_id"] / "spec.json"
    await until(lambda: path.exists() and path.read_text())
    persona = json.loads(path.read_text())["persona"]
    assert persona["objectives"][0]["objective_prompt"] == "Ask the name."
    assert [rule["guardrail_name"] for rule in persona["guardrails"]] == ["No_refunds_", "tagged"]
    assert persona["tools"][0]["name"] == "look"
    assert await create(client)


ENDPOINT = {"base_url": "https://93.184.216.34/v1", "model": "m"}


async def test_the_servers_environment_is_not_read_for_a_client(
    client: httpx.AsyncClient, home: Path
) -> None:
    """Else a key of the API would be a key to every secret of the process."""
    for layer in (
        {"llm": {**ENDPOINT, "api_key": "${AWS_SECRET_ACCESS_KEY}"}},
        {"llm": {**ENDPOINT, "headers": {"x": "Bearer ${PATH}"}}},
        {"tts": {"tts_engine": "openai", "base_url": "${HOME}"}},
    ):
        body = {"persona_name": "Eve", "system_prompt": "You are Eve.", "layers": layer}
        answer = await client.post("/v2/personas", json=body)
        assert answer.status_code == 400 and "environment" in answer.json()["error"], layer
    # In a persona that the owner wrote it may stay, and nothing beside it may change.
    text = 'persona_name: Mine\nsystem_prompt: You cost ${5}.\nlayers:\n  llm: {base_url: "http://127.0.0.1:1/v1", model: m, api_key: "${KEY}"}\n'
    (home / "personas").mkdir(exist_ok=True)
    (home / "personas" / "mine.yaml").write_text(text)
    renamed = [{"op": "replace", "path": "/persona_name", "value": "Ours"}]
    assert (await client.patch("/v2/personas/mine", json=renamed)).status_code == 200
    stolen = [{"op": "replace", "path": "/layers/llm/base_url", "value": "https://93.184.216.34/v1"}]
    answer = await client.patch("/v2/personas/mine", json=stolen)
    assert answer.status_code == 400 and "environment" in answer.json()["error"]
    removed = [{"op": "remove", "path": "/layers/llm/api_key"}, *stolen]
    assert (await client.patch("/v2/personas/mine", json=removed)).status_code == 200


async def test_remote_clients_cannot_name_private_endpoints(home: Path) -> None:
    body = {"persona_name": "Eve", "system_prompt": "You are Eve."}
    inner = {"layers": {"llm": {"base_url": "http://169.254.169.254/v1", "model": "m"}}}
    async with serving() as client:
        # Only this machine can ask: its user may name what runs on it.
        local = {"layers": {"llm": {"base_url": "http://127.0.0.1:11434/v1", "model": "m"}}}
        made = await client.post("/v2/personas", json={**body, **local})
        assert made.status_code == 200, made.text
    connection = connect(database_path())
    _, key = transact(connection, lambda there: create_key(there, "mine", 0.0))
    async with serving(require_key=True) as client:
        client.headers["x-api-key"] = key
        answer = await client.post("/v2/personas", json={**body, **inner})
        assert answer.status_code == 400 and "private network" in answer.json()["error"]
        path = f"/v2/personas/{made.json()['persona_id']}"
        moved = [{"op": "replace", "path": "/layers/llm/base_url", "value": "http://10.0.0.1/v1"}]
        assert (await client.patch(path, json=moved)).status_code == 400
        renamed = [{"op": "replace", "path": "/persona_name", "value": "Ada"}]
        assert (await client.patch(path, json=renamed)).status_code == 200, "what stood there stays"
    async with serving(require_key=True, urls_to=("10.0.0.0/8",)) as client:
        client.headers["x-api-key"] = key
        assert (await client.patch(path, json=moved)).status_code == 200


async def test_addresses_that_came_through_the_api_are_checked_again_in_the_conversation(home: Path) -> None:
    """A name may not resolve, or resolve elsewhere, when the persona is written."""
    connection = connect(database_path())
    _, key = transact(connection, lambda there: create_key(there, "mine", 0.0))
    (home / "personas").mkdir(exist_ok=True)
    layers = {"llm": {"base_url": "http://127.0.0.1:11434/v1", "model": "m"}}
    (home / "personas" / "mine.yaml").write_text(yaml.safe_dump({**ADA, "layers": layers}))

    async def told(client: httpx.AsyncClient, persona_id: str) -> Any:
        made = await client.post("/v2/conversations", json={"persona_id": persona_id})
        spec = home / "conversations" / made.json()["conversation_id"] / "spec.json"
        return json.loads(await until(lambda: spec.is_file() and spec.read_text()))["private_hosts"]

    async with serving(require_key=True, urls_to=("10.0.0.0/8",)) as client:
        client.headers["x-api-key"] = key
        unknown = {"llm": {"base_url": "http://rebind.invalid:22010/v1", "model": "m"}}
        made = await client.post(
            "/v2/personas", json={"persona_name": "Eve", "system_prompt": "x", "layers": unknown}
        )
        assert made.status_code == 200, made.text
        assert await told(client, made.json()["persona_id"]) == ["10.0.0.0/8"]
        assert await told(client, "mine") is None, "its file was written on this machine"
        renamed = [{"op": "replace", "path": "/greeting", "value": "Hi."}]
        assert (await client.patch("/v2/personas/mine", json=renamed)).status_code == 200
        assert await told(client, "mine") == ["10.0.0.0/8"]
    async with serving() as client:
        assert await told(client, made.json()["persona_id"]) is None, "only this machine's user can ask"


def test_a_conversation_gets_the_texts_for_very_small_models_and_the_api_shows_the_file_alone(
    home: Path,
) -> None:
    personas = PersonaStore(ReplicaStore())
    guide = personas.get("guide")
    assert "embedded" not in guide.document
    assert check(guide.whole).for_small_model().system_prompt != guide.document["system_prompt"]
    assert personas.get("p9a95912").whole == guide.whole
    folder = home / "personas"
    (folder / "embedded").mkdir(parents=True)
    (folder / "mine.yaml").write_text(yaml.safe_dump(ADA))
    assert personas.get("mine").whole == ADA
    small = folder / "embedded" / "mine.yaml"
    small.write_text("system_prompt: You are small.\n")
    assert personas.get("mine").whole["embedded"] == {"system_prompt": "You are small.", "examples": []}
    personas.delete(personas.get("mine"))
    assert not small.exists()


SECRET = {
    "persona_name": "Keys",
    "system_prompt": "x",
    "layers": {
        "llm": {
            "base_url": "https://93.184.216.34/v1",
            "model": "m",
            "api_key": "sk-SECRET",
            "headers": {"X-Plain": "hdr-SECRET"},
            "default_query": {"sig": "query-SECRET"},
        }
    },
}


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "copy", "from": "/layers/llm/api_key", "path": "/greeting"}],
        [{"op": "move", "from": "/layers/llm/api_key", "path": "/greeting"}],
        [{"op": "copy", "from": "/layers/llm/headers/X-Plain", "path": "/context"}],
        [{"op": "copy", "from": "/layers/llm/headers", "path": "/layers/llm/extra_body"}],
        [{"op": "copy", "from": "/layers/llm", "path": "/layers/tts"}],
        [
            {"op": "copy", "from": "/layers/llm", "path": "/layers/stt"},
            {"op": "replace", "path": "/layers/stt/base_url", "value": "https://8.8.8.8/v1"},
        ],
        [{"op": "copy", "from": "/layers", "path": "/context"}],
        [{"op": "copy", "from": "/layers/llm/default_query/sig", "path": "/persona_name"}],
        [{"op": "test", "path": "/layers/llm/api_key", "value": "sk-guess"}],
    ],
)
async def test_no_patch_carries_a_secret_into_what_is_shown(
    client: httpx.AsyncClient, home: Path, operations: list
) -> None:
    made = (await client.post("/v2/personas", json=SECRET)).json()
    assert "SECRET" not in json.dumps(made)
    path = f"/v2/personas/{made['persona_id']}"
    answer = await client.patch(path, json=operations)
    assert "SECRET" not in answer.text and "SECRET" not in (await client.get(path)).text
    if answer.status_code == 200 and "move" not in str(operations):
        assert load_persona("keys").layers.llm.connection().api_key == "sk-SECRET", (
            "what nobody touched stays"
        )


@pytest.mark.parametrize(
    "address", ["https://8.8.8.8/v1", "http://93.184.216.34/v1", "https://93.184.216.34:8443/v1"]
)
async def test_a_secret_does_not_follow_a_changed_address(
    client: httpx.AsyncClient, home: Path, address: str
) -> None:
    path = f"/v2/personas/{(await client.post('/v2/personas', json=SECRET)).json()['persona_id']}"
    move = {"op": "replace", "path": "/layers/llm/base_url", "value": address}
    for others in (
        [],
        [{"op": "replace", "path": "/layers/llm/api_key", "value": "********"}],
        [{"op": "add", "path": "/layers/llm/api_key", "value": "sk-new"}],
    ):
        refused = await client.patch(path, json=[move, *others])
        assert refused.status_code == 400 and "another host" in refused.json()["error"], refused.text
    removed = await client.patch(path, json=[{"op": "remove", "path": "/layers/llm/base_url"}])
    assert (
        removed.status_code == 200
        and (await client.patch(path, json=[{**move, "op": "add"}])).status_code == 400
    )
    whole = {"base_url": address, "model": "m", "api_key": "sk-new"}
    assert (
        await client.patch(path, json=[{"op": "replace", "path": "/layers/llm", "value": whole}])
    ).status_code == 200
    llm = load_persona("keys").layers.llm.connection()
    assert (llm.base_url, llm.api_key, dict(llm.headers)) == (address, "sk-new", {})
    same = [{"op": "replace", "path": "/layers/llm/base_url", "value": f"{address}/other"}]
    assert (await client.patch(path, json=same)).status_code == 200, "another path of the same host"


async def test_secrets_in_a_list_stay_with_their_items(client: httpx.AsyncClient, home: Path) -> None:
    def server(name: str) -> dict[str, Any]:
        return {"name": name, "url": "https://93.184.216.34/mcp", "headers": {"X-Key": f"sk-{name}"}}

    body = {"persona_name": "keys", "system_prompt": "x", "mcp_servers": [server("one"), server("two"), server("three")]}
    path = f"/v2/personas/{(await client.post('/v2/personas', json=body)).json()['persona_id']}"

    def kept() -> list[str]:
        servers = load_persona("keys").mcp_servers
        return [each.headers["X-Key"].get_secret_value() for each in servers]

    assert (await client.patch(path, json=[{"op": "remove", "path": "/mcp_servers/0"}])).status_code == 200
    assert kept() == ["sk-two", "sk-three"]
    move = {"op": "move", "from": "/mcp_servers/1", "path": "/mcp_servers/0"}
    assert (await client.patch(path, json=[move])).status_code == 200
    assert kept() == ["sk-three", "sk-two"]
    swapped = [{"op": "replace", "path": "/mcp_servers/0/url", "value": "https://8.8.8.8/mcp"}, move]
    assert (await client.patch(path, json=swapped)).status_code == 400
    assert kept() == ["sk-three", "sk-two"]
