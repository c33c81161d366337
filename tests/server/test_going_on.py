"""Conversations outlive the processes that hold them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import httpx
from running import create, serving, until

from cvi.server.rooms import rooms as rooms_module
from cvi.server.rooms.room_file import NAME


def room(client: httpx.AsyncClient, id: str):
    return client.app.state.services.rooms.get(id)


async def details(client: httpx.AsyncClient, id: str) -> dict:
    return (await client.get(f"/v2/conversations/{id}?verbose=true")).json()


async def lose(client: httpx.AsyncClient) -> None:
    """What SIGKILL leaves of a server: nothing is stored any more, its workers see their input end."""
    held = client.app.state.services.rooms

    async def nothing(*_: object) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    held._account = held._forget = nothing
    tasks = list(held._life_tasks.values())
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_killed_worker_is_replaced_and_the_participant_comes_back(
    client: httpx.AsyncClient, home: Path
) -> None:
    made = await create(client, max_participants=2)
    id = made["conversation_id"]
    joined = (await client.post(f"/c/{id}/offer", json={"sdp": "hello"})).json()
    folder = home / "conversations" / id
    await until(lambda: joined["participant_id"] in (folder / NAME).read_text())
    first = room(client, id)
    os.kill(first.pid, signal.SIGKILL)
    again = await until(lambda: (now := room(client, id)) is not first and now.state == "ready" and now)
    assert json.loads((folder / "spec.json").read_text())["resume"] is True
    assert (await details(client, id))["status"] == "active"
    body = {"sdp": "again", "participant_id": joined["participant_id"]}
    answer = await client.post(f"/c/{id}/offer", json=body)
    assert answer.status_code == 200 and answer.json()["participant_id"] == joined["participant_id"]
    await until(lambda: again.present == {joined["participant_id"]})
    await client.post(f"/v2/conversations/{id}/end")
    events = [event["event_type"] for event in (await details(client, id))["events"]]
    assert events == ["system.replica_joined", "system.shutdown", "application.transcription_ready"]
    assert not (folder / NAME).exists()


async def test_an_event_accepted_before_somebody_joined_outlives_worker_and_server(home: Path) -> None:
    """The stand-in answers an event with one of its own, which counts how often it was given to a worker."""
    event = {"event_type": "conversation.respond", "properties": {"text": "remember me"}}

    async def times(client: httpx.AsyncClient, id: str) -> int:
        await asyncio.sleep(0.05)
        kinds = [each["event_type"] for each in (await details(client, id))["events"]]
        return kinds.count("application.perception_analysis")

    async with serving() as client:
        id = (await create(client))["conversation_id"]
        path = home / "conversations" / id / NAME
        first = await until(lambda: (now := room(client, id)).state == "ready" and now)
        assert (await client.post(f"/v2/conversations/{id}/interactions", json=event)).status_code == 202
        [stored] = json.loads(path.read_text())["waiting"]
        assert stored["properties"] == event["properties"], "stored before it was answered"
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: (now := room(client, id)) is not first and now.state == "ready")
        async with asyncio.timeout(30):
            while await times(client, id) < 2:
                pass
        await lose(client)
    async with serving() as client:
        await until(lambda: room(client, id).state == "ready")
        async with asyncio.timeout(30):
            while await times(client, id) < 3:
                pass
        assert (await client.post(f"/c/{id}/offer", json={"sdp": "hello"})).status_code == 200
        await until(lambda: json.loads(path.read_text())["waiting"] == [])
        assert (await client.post(f"/v2/conversations/{id}/interactions", json=event)).status_code == 202
        assert json.loads(path.read_text())["waiting"] == [], "the worker's journal has it"


async def test_workers_that_are_killed_again_and_again_are_given_up(client: httpx.AsyncClient) -> None:
    made = await create(client)
    id = made["conversation_id"]
    seen = set()
    while (now := room(client, id)) is not None:
        if now.pid is not None and now.state == "ready" and now.pid not in seen:
            seen.add(now.pid)
            os.kill(now.pid, signal.SIGKILL)
        await asyncio.sleep(0.02)
    assert len(seen) == rooms_module.MOST_TRIES + 1
    assert (await details(client, id))["shutdown_reason"] == "internal error occurred at step conversation"


async def test_after_the_servers_loss_the_next_one_lets_the_conversation_go_on(home: Path) -> None:
    async with serving() as client:
        made = await create(client, require_auth=True, replica_id="r4067604db72")
        id, token = made["conversation_id"], made["meeting_token"]
        joined = (await client.post(f"/c/{id}/offer", json={"sdp": "hello", "token": token})).json()
        path = home / "conversations" / id / NAME
        await until(lambda: joined["participant_id"] in path.read_text())
        assert path.stat().st_mode & 0o777 == 0o600
        await lose(client)
    async with serving() as client:
        await until(lambda: room(client, id).state == "ready")
        now = await details(client, id)
        assert now["status"] == "active" and now["replica_id"] == "r4067604db72"
        body = {"sdp": "again", "participant_id": joined["participant_id"]}
        assert (await client.post(f"/c/{id}/offer", json=body)).status_code == 401
        back = await client.post(f"/c/{id}/offer", json={**body, "token": token})
        assert back.status_code == 200 and back.json()["participant_id"] == joined["participant_id"]
        await client.post(f"/v2/conversations/{id}/end")
        lines = (await details(client, id))["events"][-1]["properties"]["transcript"]
        assert [line["content"] for line in lines] == ["hello", "Hi there."]


async def test_what_was_lost_long_ago_is_over(home: Path) -> None:
    async with serving() as client:
        id = (await create(client))["conversation_id"]
        other = (await create(client))["conversation_id"]
        await until(lambda: all(room(client, each).state == "ready" for each in (id, other)))
        await lose(client)
    folder = home / "conversations" / id
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    (home / "conversations" / other / NAME).write_text("{")
    async with serving() as client:
        for each in (id, other):
            now = await details(client, each)
            assert (
                now["status"] == "ended"
                and now["shutdown_reason"] == "internal error occurred at step server"
            )
            assert [event["event_type"] for event in now["events"]][-1] == "application.transcription_ready"
