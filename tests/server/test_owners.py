"""Keys with owners and scopes: nobody sees, guesses or changes what another owner has; the audit log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import serving, until
from typer.testing import CliRunner

from cvi.errors import UsageError
from cvi.server.access import scope_needed
from cvi.server.store import audit
from cvi.server.store.database import connect, database_path, transact
from cvi.server.store.keys import create_key, list_keys, revoke_key


def key(owner: str = "default", *scopes: str) -> dict[str, str]:
    connection = connect(database_path())
    made = transact(
        connection, lambda there: create_key(there, "k", 0.0, owner=owner, scopes=scopes or ("admin",))
    )
    connection.close()
    return {"x-api-key": made[1]}


@pytest.fixture
async def server(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(require_key=True, strict_ids=True) as client:
        yield client


RESOURCES: list[tuple[str, dict[str, Any], str, str]] = [
    ("/v2/personas", {"persona_name": "Ada", "system_prompt": "x"}, "persona_id", "persona_name"),
    ("/v2/objectives", {"data": [{"objective_name": "o", "objective_prompt": "Ask."}]}, "objectives_id", ""),
    ("/v2/guardrails", {"guardrail_name": "g", "guardrail_prompt": "Never."}, "guardrail_id", ""),
    ("/v2/tools", {"name": "tool", "description": "d"}, "tool_id", ""),
    ("/v2/pronunciation-dictionaries", {"name": "d", "rules": []}, "pronunciation_dictionary_id", ""),
    ("/v2/documents", {"document_url": "https://93.184.216.34/a.pdf"}, "document_id", ""),
    ("/v2/deployments", {"persona_id": "guide", "channel": "embed"}, "deployment_id", ""),
    ("/v2/conversations", {"persona_id": "guide", "test_mode": True}, "conversation_id", ""),
    ("/v2/videos", {"replica_id": "june", "script": "Hello."}, "video_id", ""),
]


@pytest.mark.parametrize(("path", "body", "id_name", "_"), RESOURCES, ids=[row[0] for row in RESOURCES])
async def test_an_owners_things_are_to_others_as_if_they_were_not_there(
    server: httpx.AsyncClient, path: str, body: dict[str, Any], id_name: str, _: str
) -> None:
    ann, ben = key("ann"), key("ben")
    made = await server.post(path, json=body, headers=ann)
    assert made.status_code in (200, 201), made.text
    id = made.json()[id_name]
    missing = id[:-4] + ("0000" if id[-4:] != "0000" else "1111")

    async def each(method: str, at: str, who: dict[str, str], **more: Any) -> tuple[int, str]:
        answer = await server.request(method, f"{path}/{at}", headers=who, **more)
        return answer.status_code, answer.text

    async def listed(who: dict[str, str]) -> str:
        return (await server.get(path, headers=who, params={"limit": 100})).text

    assert id in await listed(ann) and id not in await listed(ben) and id not in await listed(key())
    for method, more in (
        ("GET", {}),
        ("PATCH", {"json": [{"op": "replace", "path": "/name", "value": "mine"}]}),
        ("DELETE", {}),
        ("DELETE", {"params": {"hard": "true"}}),
    ):
        theirs, nobodys = await each(method, id, ben, **more), await each(method, missing, ben, **more)
        assert theirs == nobodys and theirs[0] >= 400, (method, theirs, nobodys)
    assert (await each("GET", id, ann))[0] == 200, "it is still there"


async def test_what_hangs_on_a_things_id_is_refused_to_others_too(server: httpx.AsyncClient) -> None:
    ann, ben = key("ann"), key("ben")
    persona = (
        await server.post("/v2/personas", json={"persona_name": "Ada", "system_prompt": "x"}, headers=ann)
    ).json()
    tool = (await server.post("/v2/tools", json={"name": "tool", "description": "d"}, headers=ann)).json()[
        "tool_id"
    ]
    talk = (
        await server.post(
            "/v2/conversations", json={"persona_id": persona["persona_id"], "chat": True}, headers=ann
        )
    ).json()["conversation_id"]
    mine = (
        await server.post("/v2/personas", json={"persona_name": "Ada", "system_prompt": "y"}, headers=ben)
    ).json()
    for method, path, body in (
        ("POST", "/v2/conversations", {"persona_id": persona["persona_id"]}),
        ("POST", f"/v2/conversations/{talk}/end", None),
        ("POST", f"/v2/conversations/{talk}/interactions", {"event_type": "conversation.interrupt"}),
        ("GET", f"/v2/conversations/{talk}/recording", None),
        ("GET", f"/v2/personas/{persona['persona_id']}/tools", None),
        ("PUT", f"/v2/personas/{persona['persona_id']}/skills", {"skills": {}}),
        ("POST", f"/v2/personas/{mine['persona_id']}/tools", {"tool_ids": [tool]}),
        ("POST", "/v2/deployments", {"persona_id": persona["persona_id"], "channel": "embed"}),
    ):
        answer = await server.request(method, path, json=body, headers=ben)
        assert answer.status_code in (400, 404), (path, answer.status_code, answer.text)
    assert (await server.get(f"/v2/conversations/{talk}", headers=ann)).json()["status"] == "active"


async def test_names_and_ids_tell_nothing_of_other_owners(server: httpx.AsyncClient) -> None:
    body = {"persona_name": "Ada", "system_prompt": "x"}
    ann = (await server.post("/v2/personas", json=body, headers=key("ann"))).json()["persona_id"]
    ben = (await server.post("/v2/personas", json=body, headers=key("ben"))).json()["persona_id"]
    assert ann != ben
    first = (await server.post("/v2/personas", json=body, headers=key())).json()["persona_id"]
    names = {path.stem for path in (database_path().parent / "personas").iterdir()}
    assert "ada" in names and len(names) == 3, "the default owner's is called as if it were alone"
    for guess in names - {"ada"}:
        assert (await server.get(f"/v2/personas/{guess}", headers=key())).status_code == 400
    assert (await server.get("/v2/personas/ada", headers=key())).json()["persona_id"] == first


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/personas", "read"),
        ("GET", "/v2/conversations/c1", "converse"),
        ("POST", "/v2/conversations", "converse"),
        ("POST", "/v2/conversations/c1/end", "converse"),
        ("POST", "/v2/interactions", "converse"),
        ("DELETE", "/v2/conversations/c1", "admin"),
        ("POST", "/v2/personas", "admin"),
        ("PATCH", "/v2/pals/p1", "admin"),
        ("POST", "/v2/uploads", "admin"),
        ("PUT", "/v2/personas/p1/skills", "admin"),
        ("GET", "/metrics", "admin"),
        ("TRACE", "/v2/personas", "admin"),
    ],
)
def test_what_a_request_needs_is_known_from_its_method_and_path(method: str, path: str, scope: str) -> None:
    assert scope_needed(method, path) == scope


async def test_scopes(server: httpx.AsyncClient) -> None:
    read, converse, admin = key("ann", "read"), key("ann", "converse"), key("ann", "admin")
    new = {"persona_id": "guide", "test_mode": True}

    async def statuses(who: dict[str, str]) -> list[int]:
        made = await server.post("/v2/conversations", json=new, headers=who)
        return [
            made.status_code,
            (await server.get("/v2/conversations", headers=who)).status_code,
            (await server.get("/v2/personas", headers=who)).status_code,
            (
                await server.post("/v2/tools", json={"name": "a_tool", "description": "d"}, headers=who)
            ).status_code,
            (await server.delete("/v2/tools/t1", headers=who)).status_code,
        ]

    assert await statuses(read) == [403, 200, 200, 403, 403]
    assert await statuses(converse) == [200, 200, 403, 403, 403]
    assert await statuses(admin) == [200, 200, 200, 200, 404]
    assert (await server.get("/metrics", headers=admin)).status_code == 403, "figures of all owners"
    assert (await server.get("/metrics", headers=key())).status_code == 200


async def test_a_body_is_not_read_before_the_key_is_checked(server: httpx.AsyncClient) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"[" * 65536

    for headers, status in (({}, 401), ({"x-api-key": "wrong"}, 401), (key("ann", "read"), 403)):
        for path in ("/v2/conversations", "/v2/uploads", "/v2/nothing"):
            answer = await server.post(path, content=body(), headers=headers)
            assert answer.status_code == status and read == 0, (path, read)
        bad = await server.post("/v2/personas", content=b"{", headers=headers)
        assert bad.status_code == status, "what is wrong with a body is told to nobody without a key"


async def test_the_audit_log_says_who_did_what_and_holds_no_content(server: httpx.AsyncClient) -> None:
    ann = key("ann")
    made = (
        await server.post(
            "/v2/personas", json={"persona_name": "SECRETNAME", "system_prompt": "SECRETTEXT"}, headers=ann
        )
    ).json()
    await server.get(f"/v2/personas/{made['persona_id']}?x=SECRETQUERY", headers=ann)
    talk = (
        await server.post("/v2/conversations", json={"persona_id": "guide", "test_mode": True}, headers=ann)
    ).json()
    await server.get(f"/v2/conversations/{talk['conversation_id']}?verbose=true", headers=ann)
    await server.delete("/v2/tools/t1", headers=key("ben", "read"))
    await server.delete("/v2/memories/SECRETNAME/m1", headers=ann)
    connection = connect(database_path())
    entries = await until(lambda: len(found := audit.list_entries(connection, 10)) == 5 and found)
    assert [(entry.owner, entry.action, entry.target, entry.status) for entry in reversed(entries)] == [
        ("ann", "POST /v2/personas", "", 200),
        ("ann", "POST /v2/conversations", "", 200),
        ("ann", "GET /v2/conversations/{conversation_id}", talk["conversation_id"], 200),
        ("ben", "DELETE other", "", 403),
        ("ann", "DELETE /v2/memories/{memory_store}/{memory_id}", "m1", 404),
    ]
    assert all(entry.address == "127.0.0.1" and entry.key_id for entry in entries)
    assert "SECRET" not in repr(entries)
    used = await until(lambda: [each for each in list_keys(connection) if each.last_used_at])
    assert {each.owner for each in used} == {"ann"} | {each.owner for each in used}
    audit.forget(connection, 4e9)
    assert audit.list_entries(connection, 10) == []


def test_the_command_line_shows_owner_scopes_and_last_use_and_revokes(home: Path) -> None:
    from cvi.cli.app import app

    def cvi(*words: str) -> Any:
        return CliRunner().invoke(app, ["keys", *words], env={"COLUMNS": "100"})

    made = json.loads(cvi("create", "site", "--owner", "ann", "--scope", "converse", "--json").stdout)
    assert made["scopes"] == ["converse"] and made["owner"] == "ann"
    listed = cvi("list").stdout
    assert all(word in listed for word in ("site", "ann", "converse", "never", "valid"))
    cvi("revoke", made["id"])
    assert "revoked" in cvi("list").stdout
    assert "Nothing was changed" in cvi("log").stdout
    for wrong in (["--owner", "Not One!"], ["--scope", "everything"]):
        assert isinstance(cvi("create", "x", *wrong).exception, UsageError)


def test_keys_and_things_of_the_version_before_go_on_working(home: Path) -> None:
    """A database of migration 0002: its key has all scopes, what it has belongs to the default owner."""
    from importlib.resources import files

    folder = files("cvi.server.store") / "migrations"
    database_path().parent.mkdir(exist_ok=True)
    old = sqlite3.connect(database_path())
    for name in ("0001_first.sql", "0002_jobs.sql"):
        old.executescript((folder / name).read_text())
    old.executescript(
        "PRAGMA user_version=2;"
        "INSERT INTO api_keys VALUES ('k1', 'mine', 'cvi_abcd', x'00', 1.0, NULL);"
        "INSERT INTO resources VALUES ('tools', 't1', 'a', 1.0, 1.0, '{\"name\": \"a\", \"description\": \"d\"}');"
        "INSERT INTO conversations VALUES ('c1','n','ended','p','r','',1,1,'x',NULL,NULL,'{}',0);"
        "INSERT INTO jobs (kind,id,key,name,payload,state,created_at,updated_at,next_at)"
        " VALUES ('film','v1','v1','n','{\"replica_id\":\"r\",\"replica\":\"june\"}','succeeded',1,1,1);"
    )
    old.close()
    connection = connect(database_path())
    found = list_keys(connection)[0]
    assert (found.owner, found.may("admin"), found.last_used_at) == ("default", True, None)
    for table in ("resources", "conversations", "jobs"):
        assert connection.execute(f"SELECT owner FROM {table}").fetchone()[0] == "default"
    revoke_key(connection, "k1", 2.0)


async def test_things_of_the_version_before_are_the_default_owners(home: Path) -> None:
    test_keys_and_things_of_the_version_before_go_on_working(home)
    (home / "personas").mkdir()
    (home / "personas" / "mine.yaml").write_text("persona_name: Mine\nsystem_prompt: x\n")
    async with serving(require_key=True, strict_ids=True) as client:
        for path in ("/v2/tools/t1", "/v2/conversations/c1", "/v2/videos/v1", "/v2/personas/mine"):
            assert (await client.get(path, headers=key())).status_code == 200, path
            assert (await client.get(path, headers=key("ann"))).status_code in (400, 404), path


async def test_a_row_that_cannot_be_answered_does_not_break_its_list(server: httpx.AsyncClient) -> None:
    """Bodies nested 300 deep were stored by the version before, and broke their list for ever."""
    ann = key()
    good = (
        await server.post("/v2/deployments", json={"persona_id": "guide", "channel": "embed"}, headers=ann)
    ).json()
    deep = '{"persona_id": "p", "channel": "embed", "limits": ' + '{"a":' * 300 + "1" + "}" * 300 + "}"
    connection = connect(database_path())
    for id, document in (
        ("depdeep", deep),
        ("depbad", "{"),
        ("deplist", "[]"),
        ("depsur", '{"name": "\\ud800"}'),
    ):
        connection.execute(
            "INSERT INTO resources VALUES ('deployments', ?, 'x', 1, 1, ?, 'default')", (id, document)
        )
    listed = await server.get("/v2/deployments", headers=ann)
    assert listed.status_code == 200 and [row["deployment_id"] for row in listed.json()["data"]] == [
        good["deployment_id"]
    ]
    assert (await server.get("/v2/deployments/depdeep", headers=ann)).status_code == 404
    assert (await server.delete("/v2/deployments/depdeep", headers=ann)).status_code == 204
    body = {"persona_id": "guide", "channel": "embed", "limits": json.loads('{"a":' * 300 + "1" + "}" * 300)}
    assert (await server.post("/v2/deployments", json=body, headers=ann)).status_code == 400


async def test_where_stock_ones_stand_for_unknown_ids_they_stand_for_others_ids_too(home: Path) -> None:
    async with serving(require_key=True) as client:
        body = {"persona_name": "Ada", "system_prompt": "SECRET"}
        for owner in ("default", "ann"):
            made = (await client.post("/v2/personas", json=body, headers=key(owner))).json()
            for deleted in (False, True):
                seen = await client.get(f"/v2/personas/{made['persona_id']}", headers=key("ben"))
                assert (
                    seen.status_code == 200 and "SECRET" not in seen.text and "substituted_for" in seen.text
                )
                if not deleted:
                    await client.delete(f"/v2/personas/{made['persona_id']}", headers=key(owner))
            gone = await client.get(f"/v2/personas/{made['persona_id']}", headers=key(owner))
            assert gone.status_code == 400, "who had it learns that it is gone"


async def test_an_ended_room_gives_no_passwords_of_a_relay(home: Path) -> None:
    relay = ({"urls": ["turn:relay.example:3478"]},)
    async with serving(ice_servers=relay, turn_secret="s" * 20) as client:
        made = (await client.post("/v2/conversations", json={"persona_id": "guide", "chat": True})).json()
        config = f"/c/{made['conversation_id']}/config"
        assert (await client.get(config)).json()["ice_servers"][0]["credential"]
        await client.post(f"/v2/conversations/{made['conversation_id']}/end")
        assert (await client.get(config)).json()["ice_servers"] == []


@pytest.mark.parametrize("host", ["[", "[::1", "]", "127.0.0.1:99999999", "a b", "\u00e9"])
async def test_any_host_header_is_answered(home: Path, host: str) -> None:
    async with serving() as client:
        answer = await client.get("/v2/personas", headers=[(b"host", host.encode("latin-1"))])
        assert answer.status_code in (200, 400, 401)
