from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx
import pytest
from running import PROMPT, create, serving, until


async def details(client: httpx.AsyncClient, conversation_id: str) -> dict:
    return (await client.get(f"/v2/conversations/{conversation_id}?verbose=true")).json()


async def ended(client: httpx.AsyncClient, conversation_id: str) -> dict:
    for _ in range(1000):
        answer = await details(client, conversation_id)
        if answer["status"] == "ended":
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError("it goes on")


def room(client: httpx.AsyncClient, conversation_id: str):
    return client.app.state.services.rooms.get(conversation_id)


async def test_created_joined_and_ended_with_its_transcript(client: httpx.AsyncClient) -> None:
    made = await create(client, conversation_name="Mine")
    assert made["status"] == "active" and made["conversation_name"] == "Mine"
    assert made["conversation_url"] == f"http://127.0.0.1:8787/c/{made['conversation_id']}"
    assert made["pal_id"] == made["persona_id"] and made["face_id"] == made["replica_id"]
    assert "meeting_token" not in made
    answer = await client.post(f"/c/{made['conversation_id']}/offer", json={"sdp": "hello"})
    assert answer.status_code == 200 and answer.json()["sdp"] == "answer to hello"
    assert (await client.post(f"/v2/conversations/{made['conversation_id']}/end")).status_code == 200
    done = await details(client, made["conversation_id"])
    assert done["status"] == "ended" and done["shutdown_reason"] == "end_conversation_endpoint_hit"
    kinds = [event["event_type"] for event in done["events"]]
    assert kinds == ["system.replica_joined", "system.shutdown", "application.transcription_ready"]
    lines = done["events"][2]["properties"]["transcript"]
    assert [(line["role"], line["content"]) for line in lines] == [
        ("user", "hello"),
        ("assistant", "Hi there."),
    ]
    assert lines[0]["seconds_from_start"] == 1.0 and lines[0]["timestamp"] == 1767323046.0
    gone = await client.post(f"/c/{made['conversation_id']}/offer", json={"sdp": "hello"})
    assert gone.status_code == 410 and "ended" in gone.json()["message"]


async def test_the_workers_start_message_holds_what_was_asked_for(
    client: httpx.AsyncClient, home: Path
) -> None:
    made = await create(
        client,
        conversational_context="It rains.",
        custom_greeting="Hey.",
        enable_dynamic_greeting=True,
        audio_only=True,
        properties={
            "max_call_duration": 9000,
            "language": "de",
            "enable_recording": True,
            "enable_transcription": 1,
        },
    )
    path = home / "conversations" / made["conversation_id"] / "spec.json"
    await until(path.exists)
    await until(lambda: room(client, made["conversation_id"]).state == "ready")
    spec = json.loads(path.read_text())
    assert spec["persona"]["system_prompt"].startswith(PROMPT)
    assert spec["conversational_context"] == "It rains." and spec["custom_greeting"] == "Hey."
    assert spec["dynamic_greeting"] is True
    assert spec["audio_only"] is True and spec["language"] == "german" and spec["replica"] == "june"
    assert spec["limits"]["max_call_duration_s"] == 3600
    await client.post(f"/v2/conversations/{made['conversation_id']}/end")
    events = (await details(client, made["conversation_id"]))["events"]
    assert events[-1]["event_type"] == "application.recording_ready"
    film = await client.get(f"/v2/conversations/{made['conversation_id']}/recording")
    assert film.content == b"film" and film.headers["content-type"] == "video/mp4"


async def test_both_vocabularies_create(client: httpx.AsyncClient) -> None:
    face = (await client.get("/v2/faces")).json()["data"][0]["face_id"]
    pal = (await client.post("/v2/pals", json={"pal_name": "Bo", "system_prompt": "Be Bo."})).json()["pal_id"]
    made = (await client.post("/v2/conversations/", json={"pal_id": pal, "face_id": face})).json()
    assert made["persona_id"] == pal and made["replica_id"] == face


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "persona_id"),
        ({"persona_id": "nobody"}, "Invalid persona_id"),
        ({"replica_id": "nobody"}, "Invalid replica_id"),
        ({"replica_id": "june", "properties": {"language": "klingon"}}, "Invalid language"),
        ({"replica_id": "june", "max_participants": 1}, "max_participants"),
        ({"replica_id": "june", "callback_url": "http://127.0.0.1/x"}, "private network"),
        ({"replica_id": "june", "callback_url": "ftp://example.org/x"}, "no web address"),
    ],
)
async def test_wrong_requests_are_answered_with_what_is_wrong(
    client: httpx.AsyncClient, body: dict, told: str
) -> None:
    answer = await client.post("/v2/conversations", json=body)
    assert answer.status_code == 400 and told in answer.json()["error"]
    assert client.app.state.services.rooms.count == 0


@pytest.mark.parametrize(
    "extra", [{"meeting_url": "https://x.org"}, {"properties": {"livekit_ws_url": "ws://x"}}]
)
async def test_other_services_rooms_are_refused_so_that_no_client_tries_again(
    client: httpx.AsyncClient, extra: dict
) -> None:
    answer = await client.post("/v2/conversations", json={"replica_id": "june", **extra})
    assert answer.status_code == 400 and "not part of this version" in answer.json()["message"]


async def test_an_unknown_id_is_400_everywhere(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("POST", "/end"), ("DELETE", ""), ("GET", "/recording")):
        answer = await client.request(method, f"/v2/conversations/cnothing{path}")
        assert answer.status_code == 400 and answer.json() == {"error": "Invalid conversation_id"}


async def test_test_mode_is_ended_at_once_and_starts_nothing(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v2/conversations", json={"replica_id": "june", "test_mode": True})).json()
    assert made["status"] == "ended" and client.app.state.services.rooms.count == 0


async def test_lists_pages_and_deletes(client: httpx.AsyncClient) -> None:
    for number in range(3):
        body = {"replica_id": "june", "test_mode": True, "conversation_name": str(number)}
        await client.post("/v2/conversations", json=body)
    first = (await client.get("/v2/conversations?limit=2")).json()
    second = (await client.get("/v2/conversations?limit=2&page=2")).json()
    assert first["total_count"] == 3
    names = [row["conversation_name"] for row in first["data"] + second["data"]]
    assert names == ["2", "1", "0"]
    assert (await client.get("/v2/conversations?status=active")).json() == {"data": [], "total_count": 0}
    for row, hard in zip(first["data"], ("true", "false"), strict=True):
        gone = await client.delete(f"/v2/conversations/{row['conversation_id']}?hard={hard}")
        assert gone.status_code == 204 and gone.content == b""
    assert (await client.get("/v2/conversations")).json()["total_count"] == 1


async def test_hard_deletion_erases_the_journal(client: httpx.AsyncClient, home: Path) -> None:
    made = await create(client)
    folder = home / "conversations" / made["conversation_id"]
    await until(lambda: (folder / "journal.jsonl").exists())
    assert (await client.delete(f"/v2/conversations/{made['conversation_id']}?hard=true")).status_code == 204
    assert not folder.exists()
    assert (await client.get(f"/v2/conversations/{made['conversation_id']}")).status_code == 400


async def test_a_crash_ends_one_conversation_only(client: httpx.AsyncClient, home: Path) -> None:
    calm = await create(client)
    wild = await create(client, "crash-when-joined")
    await until(lambda: room(client, wild["conversation_id"]).state == "ready")
    await client.post(f"/c/{wild['conversation_id']}/offer", json={"sdp": "x"})
    done = await ended(client, wild["conversation_id"])
    assert done["shutdown_reason"] == "internal error occurred at step conversation"
    assert done["events"][-1]["properties"]["transcript"][1]["content"] == "Hi there."
    assert (home / "conversations" / wild["conversation_id"] / "journal.jsonl").is_file()
    assert (await details(client, calm["conversation_id"]))["status"] == "active"
    answer = await client.post(f"/c/{calm['conversation_id']}/offer", json={"sdp": "still here"})
    assert answer.json()["sdp"] == "answer to still here"


async def test_repeatedly_killed_workers_leave_the_server_running(
    client: httpx.AsyncClient, home: Path
) -> None:
    calm = await create(client)
    for _ in range(4):
        made = await create(client)
        await until(lambda made=made: room(client, made["conversation_id"]).state == "ready")
        held = room(client, made["conversation_id"])
        os.kill(held.pid, signal.SIGKILL)
        await until(
            lambda made=made, held=held: (
                (now := room(client, made["conversation_id"])) is not held and now.state == "ready"
            )
        )
        await client.post(f"/v2/conversations/{made['conversation_id']}/end")
        done = await ended(client, made["conversation_id"])
        assert done["shutdown_reason"] == "end_conversation_endpoint_hit"
        assert done["events"][-1]["event_type"] == "application.transcription_ready"
        assert (home / "conversations" / made["conversation_id"] / "journal.jsonl").is_file()
    answer = await client.post(f"/c/{calm['conversation_id']}/offer", json={"sdp": "still here"})
    assert answer.json()["sdp"] == "answer to still here"
    assert client.app.state.services.rooms.count == 1


@pytest.mark.parametrize("mood", ["crash-at-start", "fail"])
async def test_a_worker_that_cannot_start_ends_the_conversation(client: httpx.AsyncClient, mood: str) -> None:
    made = await create(client, mood)
    done = await ended(client, made["conversation_id"])
    assert done["shutdown_reason"] == "exception_encountered_during_conversation_startup"
    assert client.app.state.services.rooms.count == 0


async def test_a_worker_that_is_not_ready_in_time_is_killed(home: Path) -> None:
    async with serving(ready_within_s=0.2) as client:
        made = await create(client, "never-ready")
        done = await ended(client, made["conversation_id"])
        assert done["shutdown_reason"] == "exception_encountered_during_conversation_startup"


async def test_a_worker_that_hangs_is_killed(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cvi.server.rooms.room.END_WITHIN_S", 0.2)
    monkeypatch.setattr("cvi.server.rooms.room.KILL_AFTER_S", 0.2)
    made = await create(client, "hang-at-end")
    await until(lambda: room(client, made["conversation_id"]).state == "ready")
    pid = room(client, made["conversation_id"]).pid
    await client.post(f"/v2/conversations/{made['conversation_id']}/end")
    assert (await details(client, made["conversation_id"]))["status"] == "ended"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_invalid_messages_of_a_worker_are_ignored(client: httpx.AsyncClient) -> None:
    made = await create(client, "noise")
    await until(lambda: room(client, made["conversation_id"]).state == "ready")
    answer = await client.post(f"/c/{made['conversation_id']}/offer", json={"sdp": "x"})
    assert answer.status_code == 200


async def test_twenty_at_once_beyond_the_limit_are_refused_cleanly(home: Path) -> None:
    async with serving(max_conversations=2) as client:
        first = await create(client)
        body = {"persona_id": first["persona_id"]}
        answers = await asyncio.gather(*(client.post("/v2/conversations", json=body) for _ in range(20)))
        refused = [answer for answer in answers if answer.status_code == 400]
        assert len(refused) == 19 and len(answers) - len(refused) == 1
        assert refused[0].json() == {"message": "User has reached maximum concurrent conversations"}
        assert (await details(client, first["conversation_id"]))["status"] == "active"
        await client.post(f"/v2/conversations/{first['conversation_id']}/end")
        assert (await client.post("/v2/conversations", json=body)).status_code == 200


async def test_after_a_restart_conversations_of_the_stopped_server_are_ended(home: Path) -> None:
    async with serving() as client:
        made = await create(client)
        await until(lambda: room(client, made["conversation_id"]).state == "ready")
        pid = room(client, made["conversation_id"]).pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    async with serving() as client:
        done = await details(client, made["conversation_id"])
        assert (done["status"], done["shutdown_reason"]) == ("ended", "server_shutdown")


async def test_a_draining_server_refuses_new_conversations_and_lets_others_finish(
    client: httpx.AsyncClient,
) -> None:
    made = await create(client)
    await until(lambda: room(client, made["conversation_id"]).state == "ready")
    rooms = client.app.state.services.rooms
    draining = asyncio.create_task(rooms.drain(30))
    await until(lambda: rooms.draining)
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.post("/v2/conversations", json={"replica_id": "june"})).status_code == 503
    answer = await client.post(f"/c/{made['conversation_id']}/offer", json={"sdp": "me again"})
    assert answer.status_code == 200
    await client.post(f"/v2/conversations/{made['conversation_id']}/end")
    async with asyncio.timeout(5):
        await draining
    assert (await details(client, made["conversation_id"]))[
        "shutdown_reason"
    ] == "end_conversation_endpoint_hit"


async def test_events_reach_the_worker_and_its_own_are_stored(client: httpx.AsyncClient) -> None:
    made = await create(client)
    body = {"event_type": "conversation.respond", "properties": {"text": "hello"}}
    assert (
        await client.post(f"/v2/conversations/{made['conversation_id']}/interactions", json=body)
    ).status_code == 202
    for _ in range(1000):
        events = (await details(client, made["conversation_id"]))["events"]
        if any(event["event_type"] == "application.perception_analysis" for event in events):
            break
        await asyncio.sleep(0.01)
    assert events[-1]["properties"] == {"analysis": "hello"}


@pytest.mark.parametrize(
    ("event_type", "properties", "words"),
    [
        (
            "overwrite_llm_context",
            {"text": "It rains."},
            "`properties.context` must be a text. Given: `text`.",
        ),
        ("echo", {"modality": "speech", "text": "Hi."}, "`modality` must be 'text' or 'audio'"),
        ("tool_result", {"tool_call_id": "t1", "output": "4"}, "No tool call waits"),
        ("respond", {"text": " "}, "`properties.text` must be a text"),
        ("sensitivity", {}, "participant_pause_sensitivity"),
    ],
)
async def test_events_that_cannot_be_carried_out_are_refused_at_once(
    client: httpx.AsyncClient, event_type: str, properties: dict, words: str
) -> None:
    made = await create(client)
    body = {"event_type": f"conversation.{event_type}", "properties": properties}
    answer = await client.post(f"/v2/conversations/{made['conversation_id']}/interactions", json=body)
    assert answer.status_code == 400 and words in answer.json()["error"]


async def test_a_typed_conversation_refuses_to_echo(client: httpx.AsyncClient) -> None:
    made = await create(client, chat=True)
    body = {"event_type": "conversation.echo", "properties": {"text": "Hi."}}
    answer = await client.post(f"/v2/conversations/{made['conversation_id']}/interactions", json=body)
    assert answer.status_code == 400 and "no voice" in answer.json()["error"]


async def test_what_the_worker_cannot_do_is_refused_with_its_reason(client: httpx.AsyncClient) -> None:
    made = await create(client)
    await until(lambda: client.app.state.services.rooms.get(made["conversation_id"]).state == "ready")
    body = {"event_type": "conversation.respond", "properties": {"text": "refuse me"}}
    path = f"/v2/conversations/{made['conversation_id']}/interactions"
    answer = await client.post(path, json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "That cannot be done."})


async def test_an_event_that_the_worker_does_not_answer_is_503(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cvi.server.rooms.room.ACCEPT_WITHIN_S", 0.05)
    made = await create(client)
    await until(lambda: client.app.state.services.rooms.get(made["conversation_id"]).state == "ready")
    body = {"event_type": "conversation.respond", "properties": {"text": "ignore me"}}
    answer = await client.post(f"/v2/conversations/{made['conversation_id']}/interactions", json=body)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "2"
