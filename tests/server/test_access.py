"""Keys, origins, limits, headers, and what the log leaves out."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from running import create, serving

from cvi.errors import CviError, UsageError
from cvi.server.logs import JsonLines, set_up
from cvi.server.middleware import caller_of
from cvi.server.settings import ServerSettings, is_loopback
from cvi.server.store.database import connect, database_path, transact
from cvi.server.store.keys import create_key, find_key, list_keys, revoke_key


async def test_no_key_is_needed_on_this_machine_and_one_is_elsewhere(home: Path) -> None:
    connection = connect(database_path())
    key, text = transact(connection, lambda there: create_key(there, "mine", 0.0))
    async with serving() as client:
        assert (await client.get("/v2/personas")).status_code == 200
        assert (await client.get("/v2/personas", headers={"x-api-key": "any"})).status_code == 200
    for changed in ({"host": "0.0.0.0"}, {"public_url": "https://talk.example.org"}, {"require_key": True}):
        async with serving(**changed) as client:
            for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": "\u00e9"}):
                answer = await client.get("/v2/personas", headers=httpx.Headers(headers, encoding="utf-8"))
                assert answer.status_code == 401 and answer.json() == {"message": "Invalid access token"}
            assert (await client.get("/metrics")).status_code == 401
            assert (await client.get("/v2/personas", headers={"x-api-key": text})).status_code == 200
            assert (await client.get("/healthz")).status_code == 200
            transact(connection, lambda there, id=key.id: revoke_key(there, id, 1.0))
            assert (await client.get("/v2/personas", headers={"x-api-key": text})).status_code == 401
            key, text = transact(connection, lambda there: create_key(there, "next", 0.0))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
async def test_pages_of_other_origins_cannot_call_the_api_without_a_key(
    client: httpx.AsyncClient, headers: dict
) -> None:
    assert (await client.get("/v2/personas", headers=headers)).status_code == 401


async def test_own_pages_can_call_the_api(client: httpx.AsyncClient) -> None:
    own = {"origin": "http://127.0.0.1:8787", "sec-fetch-site": "same-origin"}
    assert (await client.get("/v2/personas", headers=own)).status_code == 200


async def test_configured_origins_may_call_the_api_and_others_not(home: Path) -> None:
    asks = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    async with serving(cors_origins=("https://app.example",)) as client:
        allowed = await client.options("/v2/conversations", headers={"origin": "https://app.example", **asks})
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        assert "x-api-key" in allowed.headers["access-control-allow-headers"]
        other = await client.options("/v2/conversations", headers={"origin": "https://other.example", **asks})
        assert "access-control-allow-origin" not in other.headers
        anyone = await client.options("/c/c1/offer", headers={"origin": "https://other.example", **asks})
        assert anyone.headers["access-control-allow-origin"] == "https://other.example"


async def test_answers_carry_security_headers(home: Path) -> None:
    async with serving(frame_ancestors=("https://app.example",)) as client:
        made = await create(client)
        page = await client.get(f"/c/{made['conversation_id']}")
        assert "frame-ancestors https://app.example" in page.headers["content-security-policy"]
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert (await client.get("/v2/personas")).headers["cache-control"] == "no-store"


async def test_bodies_are_limited_with_and_without_a_content_length(home: Path) -> None:
    async def endless():
        while True:
            yield b" " * 65536

    async with serving(body_bytes=100_000) as client:
        declared = await client.post("/v2/personas", content=b" " * 100_001)
        assert declared.status_code == 413 and "larger" in declared.json()["error"]
        assert (await client.post("/v2/personas", content=endless())).status_code == 413


async def test_a_body_that_never_goes_on_is_given_up(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.server.middleware.BODY_WAITS_S", 0.1)

    async def half():
        yield b'{"persona_name":'
        await asyncio.sleep(60)

    async with serving() as client:
        answer = await client.post("/v2/personas", content=half())
        assert answer.status_code == 408 and "in time" in answer.json()["error"]
        assert (await client.post("/v2/tools", json={"name": "a_tool", "description": "d"})).status_code == 200


async def test_a_caller_beyond_the_rate_limit_gets_429(home: Path) -> None:
    async with serving(rate_per_minute=60) as client:
        statuses = [(await client.get("/healthz")).status_code for _ in range(12)]
        assert statuses[:10] == [200] * 10 and 429 in statuses
        other = await client.get("/healthz", headers={"x-api-key": "somebody else"})
        assert other.status_code == 429, "a new name is no new caller"


def test_callers_are_distinguished_by_address_alone() -> None:
    def who(address: str) -> str:
        return caller_of({"headers": [(b"x-api-key", address.encode())], "client": (address, 1)})

    assert who("192.0.2.1") != who("192.0.2.2") and who("::ffff:192.0.2.1") != who("::ffff:192.0.2.2")
    assert who("2001:db8::1") == who("2001:db8::ffff") != who("2001:db8:0:1::1")
    assert caller_of({"headers": [], "client": None}) == caller_of({"headers": []})


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b'{"persona_name": NaN}',
        b'{"a": "\\ud800"}',
        b"\xff",
        b"[" * 100_000,
        b'{"a": 1e999}',
        b"null",
        b"[]",
    ],
)
async def test_invalid_json_is_400(client: httpx.AsyncClient, body: bytes) -> None:
    for path in ("/v2/personas", "/v2/conversations", "/v2/tools"):
        answer = await client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 400, answer.text


async def test_both_slash_forms_are_served_and_never_redirected(client: httpx.AsyncClient) -> None:
    for path in (
        "/v2/pals",
        "/v2/pals/",
        "/v2/guardrails/",
        "/v2/objectives/",
        "/v2/pronunciation-dictionaries/",
    ):
        assert (await client.get(path)).status_code == 200


async def test_readiness_and_metrics(client: httpx.AsyncClient) -> None:
    assert (await client.get("/readyz")).json()["status"] == "ready"
    made = await create(client)
    await client.post(f"/v2/conversations/{made['conversation_id']}/end")
    await client.get(f"/v2/conversations/{made['conversation_id']}")
    text = (await client.get("/metrics")).text
    assert "cvi_conversations_opened_total 1.0" in text
    assert 'cvi_conversations_ended_total{reason="end_conversation_endpoint_hit"} 1.0' in text
    assert 'route="/v2/conversations/{conversation_id}"' in text and made["conversation_id"] not in text
    assert "cvi_first_audio_seconds_bucket" in text


async def test_the_log_holds_no_personal_data(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="cvi.server")
    async with serving() as client:
        made = await create(client, require_auth=True, conversational_context="SECRET-CONTEXT")
        await client.post(
            f"/c/{made['conversation_id']}/offer?t={made['meeting_token']}",
            json={"sdp": "SECRET-SDP", "participant_name": "SECRET-NAME"},
            headers={"x-api-key": "SECRET-KEY"},
        )
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert {"what": "request", "route": "/c/{conversation_id}/offer", "status": 200}.items() <= next(
        line for line in lines if str(line.get("route")).endswith("/offer")
    ).items()
    text = json.dumps(lines)
    assert "SECRET" not in text and made["meeting_token"] not in text and "127.0.0.1" not in text


def test_keys_are_kept_as_digests_and_found_by_them(home: Path) -> None:
    connection = connect(database_path())
    key, text = transact(connection, lambda there: create_key(there, "mine", 5.0))
    assert find_key(connection, text) == key
    assert find_key(connection, text + "x") is None and find_key(connection, "") is None
    assert text.encode() not in b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())
    assert list_keys(connection)[0].hint == text[:8]
    revoke_key(connection, key.id, 6.0)
    assert find_key(connection, text) is None and list_keys(connection)[0].revoked_at == 6.0
    with pytest.raises(UsageError, match="no key"):
        revoke_key(connection, "knothing", 7.0)
    assert stat.S_IMODE(database_path().stat().st_mode) == 0o600


def test_a_database_of_a_later_version_is_left_alone(home: Path) -> None:
    connection = connect(database_path())
    connection.execute("PRAGMA user_version=999")
    connection.close()
    with pytest.raises(CviError, match="later version"):
        connect(database_path())


def test_a_file_that_is_no_database_is_reported_in_one_line(home: Path) -> None:
    database_path().write_text("this is no database, but it is long enough to be looked at" * 20)
    with pytest.raises(CviError, match="cannot be used"):
        connect(database_path())


def test_invalid_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="no address"):
        ServerSettings(public_url="talk.example.org")
    with pytest.raises(UsageError, match="at least 1"):
        ServerSettings(max_conversations=0)
    assert ServerSettings(host="::1").url == "http://[::1]:8787"
    assert is_loopback("localhost.") and is_loopback("127.0.0.9") and not is_loopback("example.org")
    assert not ServerSettings(public_url="http://localhost:9").asks_for_keys


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["program", "terminal"])
def test_the_log_is_for_a_person_at_a_terminal_and_json_for_a_program(stream: io.StringIO) -> None:
    names = ("cvi.server", "cvi.child_process", "cvi.endpoints", "uvicorn.error")
    before = {name: (logging.getLogger(name).handlers, logging.getLogger(name).propagate) for name in names}
    try:
        set_up(stream=stream)
        fields = {"method": "GET", "route": "/v2/faces", "status": 200, "ms": 1.25}
        logging.getLogger("cvi.server.requests").info("request", extra=fields)
        logging.getLogger("cvi.server.rooms").warning("worker is slow", extra={"pid": 7})
        first, second = stream.getvalue().splitlines()
    finally:
        for name, (handlers, propagate) in before.items():
            logging.getLogger(name).handlers, logging.getLogger(name).propagate = handlers, propagate
    if stream.isatty():
        assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    GET /v2/faces 200 \(1\.2 ms\)", first)
        assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING worker is slow  pid=7", second)
    else:
        assert json.loads(first)["ms"] == 1.25 and json.loads(second)["what"] == "worker is slow"


async def test_a_rooms_requests_are_small_and_counted_before_their_body_is_read(home: Path) -> None:
    """They need no key: whoever sends large ones, or many, costs nothing."""
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b'"",' * 20_000

    async with serving(joins_per_minute=6) as client:
        statuses = [(await client.post("/c/c0123456789ab/offer", content=pieces())).status_code for _ in range(4)]
        assert statuses == [413, 429, 429, 429] and read < 10
        assert (await client.get("/c/c0123456789ab")).status_code == 404, "the page itself is counted as others are"
