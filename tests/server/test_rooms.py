"""Who may join a room, and the configuration of its page; admission control."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from pathlib import Path

import httpx
import pytest
from running import create, serving, until

from cvi.errors import UsageError
from cvi.server.middleware import RateLimit
from cvi.server.rooms import room as room_module
from cvi.server.rooms.admission import KEEP_FREE_BYTES, MIB, AdmissionControl, memory_available, process_usage
from cvi.server.settings import Brand, ServerSettings


def room(client: httpx.AsyncClient, made: dict):
    return client.app.state.services.rooms.get(made["conversation_id"])


async def ready(client: httpx.AsyncClient, **fields) -> dict:
    made = await create(client, **fields)
    await until(lambda: room(client, made).state == "ready")
    return made


async def offer(client: httpx.AsyncClient, made: dict, query: str = "", **fields) -> httpx.Response:
    return await client.post(f"/c/{made['conversation_id']}/offer{query}", json={"sdp": "x", **fields})


@pytest.mark.parametrize("where", ["top", "properties"])
async def test_a_private_room_needs_its_token(client: httpx.AsyncClient, where: str) -> None:
    fields = {"require_auth": True} if where == "top" else {"properties": {"require_auth": True}}
    made = await ready(client, **fields)
    token = made["meeting_token"]
    assert (await offer(client, made)).status_code == 401
    assert (await offer(client, made, "?t=wrong")).status_code == 401
    assert (await offer(client, made, f"?t={token}")).status_code == 200
    assert (await offer(client, made, token=token)).status_code == 200
    stranger = (await client.get(f"/c/{made['conversation_id']}/config")).json()
    assert stranger["require_auth"] is True and "persona_name" not in stranger
    guest = (await client.get(f"/c/{made['conversation_id']}/config?t={token}")).json()
    assert guest["persona_name"] == "Ada" and guest["state"] == "ready"
    shown = (await client.get(f"/v2/conversations/{made['conversation_id']}?verbose=true")).text
    assert token not in shown


async def test_the_configuration_for_a_rooms_page(home) -> None:
    brand = Brand("Acme", "https://acme.example/logo.svg", "#0a7d6c")
    turn = {"urls": ["turn:t.example:3478"], "username": "u", "credential": "p"}
    async with serving(brand=brand, ice_servers=(turn,), relay_only=True) as client:
        made = await ready(client, properties={"enable_recording": True, "enable_closed_captions": False})
        config = (await client.get(f"/c/{made['conversation_id']}/config")).json()
        assert config["brand"] == {
            "name": "Acme",
            "logo": "https://acme.example/logo.svg",
            "accent": "#0a7d6c",
        }
        assert config["recording"] is True and config["captions"] is False
        assert config["ice_servers"] == [turn] and config["ice_transport_policy"] == "relay"
        assert config["shutdown_reason"] is None
        await client.post(f"/v2/conversations/{made['conversation_id']}/end")
        config = (await client.get(f"/c/{made['conversation_id']}/config")).json()
        assert (config["state"], config["shutdown_reason"]) == ("ended", "end_conversation_endpoint_hit")
        plain = await ready(client)
        config = (await client.get(f"/c/{plain['conversation_id']}/config")).json()
        assert config["recording"] is False and config["captions"] is True


@pytest.mark.parametrize(
    "wrong",
    [{"relay_only": True}, {"relay_only": True, "ice_servers": ({"urls": ["stun:s.example:1"]},)}],
)
def test_relay_only_needs_a_turn_server(wrong: dict) -> None:
    with pytest.raises(UsageError, match="TURN"):
        ServerSettings(**wrong)


async def test_with_the_turn_secret_each_participant_gets_a_password(home) -> None:
    servers = (
        {"urls": ["stun:s.example:3478"]},
        {"urls": ["turn:t.example:3478"], "username": "all", "credential": "same"},
    )
    async with serving(ice_servers=servers, turn_secret="north") as client:
        made = await ready(client)
        stun, turn = (await client.get(f"/c/{made['conversation_id']}/config")).json()["ice_servers"]
        assert stun == servers[0] and "north" not in str(turn)
        expires, _, who = turn["username"].partition(":")
        assert who == made["conversation_id"] and int(expires) > client.app.state.services.wall() + 3600
        # As coturn reckons it.
        key = hmac.new(b"north", turn["username"].encode(), "sha1").digest()
        assert turn["credential"] == base64.b64encode(key).decode()


@pytest.mark.parametrize("wrong", [{"logo": "javascript:alert(1)"}, {"accent": "red; background: url(x)"}])
def test_an_invalid_brand_is_refused(wrong: dict) -> None:
    with pytest.raises(UsageError, match="brand"):
        Brand(**wrong)


async def test_an_ice_restart_is_passed_on_for_participants_only(
    client: httpx.AsyncClient, home: Path
) -> None:
    made = await ready(client)
    mine = (await offer(client, made)).json()["participant_id"]
    assert (await offer(client, made, participant_id=mine, restart=True)).json()["participant_id"] == mine
    other = (await offer(client, made, participant_id="invented", restart=True)).json()["participant_id"]
    assert other not in (mine, "invented")
    offers = (home / "conversations" / made["conversation_id"] / "offers.jsonl").read_text().splitlines()
    assert [json.loads(line)["restart"] for line in offers] == [False, True, False]


async def test_an_offer_that_was_not_answered_in_time_is_taken_over_by_its_sender(
    client: httpx.AsyncClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ready(client, max_participants=2)
    mine = "u0123456789abcdef"
    with monkeypatch.context() as patch:
        patch.setattr(room_module, "ANSWER_WITHIN_S", 0.2)
        late = await offer(client, made, sdp="answer me never", participant_id=mine)
    assert late.status_code == 503 and late.headers["retry-after"]
    assert (await offer(client, made, participant_id=mine)).json()["participant_id"] == mine
    offers = (home / "conversations" / made["conversation_id"] / "offers.jsonl").read_text().splitlines()
    assert [json.loads(line)["participant_id"] for line in offers] == [mine, mine]


async def test_an_expired_token_readmits_participants_only(client: httpx.AsyncClient) -> None:
    made = await ready(client, require_auth=True, properties={"participant_absent_timeout": 60})
    token = made["meeting_token"]
    inside = (await offer(client, made, token=token)).json()["participant_id"]
    house = client.app.state.services
    late = house.wall() + 61
    house.wall = lambda: late
    assert (await offer(client, made, token=token)).status_code == 403
    back = await offer(client, made, token=token, participant_id=inside)
    assert back.status_code == 200 and back.json()["participant_id"] == inside


async def test_a_full_room_refuses_others_and_readmits_its_participant(client: httpx.AsyncClient) -> None:
    made = await ready(client, max_participants=2)
    first = await offer(client, made)
    await until(lambda: room(client, made).present)
    assert (await offer(client, made)).status_code == 409
    assert (await offer(client, made, participant_id="invented")).status_code == 409
    mine = first.json()["participant_id"]
    assert (await offer(client, made, participant_id=mine)).status_code == 200
    farewell = f'{{"participant_id": "{mine}"}}'
    left = await client.post(
        f"/c/{made['conversation_id']}/leave", content=farewell, headers={"content-type": "text/plain"}
    )
    assert left.status_code == 204
    await until(lambda: not room(client, made).present)
    assert (await offer(client, made)).status_code == 200


async def test_the_workers_refusal_of_an_offer_is_passed_on(client: httpx.AsyncClient) -> None:
    made = await ready(client)
    answer = await offer(client, made, sdp="refuse me")
    assert answer.status_code == 422 and answer.json() == {"message": "This is no offer."}


async def test_an_offer_waits_for_the_worker_to_be_ready(client: httpx.AsyncClient) -> None:
    made = await create(client)
    assert (await offer(client, made)).status_code == 200


async def test_a_page_sees_why_a_conversation_is_ending(client: httpx.AsyncClient) -> None:
    made = await create(client, "hang-at-end")
    await until(lambda: client.app.state.services.rooms.get(made["conversation_id"]).state == "ready")
    ending = asyncio.create_task(client.post(f"/v2/conversations/{made['conversation_id']}/end"))
    room = client.app.state.services.rooms.get(made["conversation_id"])
    await until(lambda: room.state == "ending")
    facts = (await client.get(f"/c/{made['conversation_id']}/config")).json()
    assert (facts["state"], facts["shutdown_reason"]) == ("ended", "end_conversation_endpoint_hit")
    room.kill()
    assert (await ending).status_code == 200


async def test_an_unknown_room_is_404(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "config"), ("POST", "offer")):
        answer = await client.request(method, f"/c/cnothing/{path}", json={"sdp": "x"})
        assert answer.status_code == 404 and "no such conversation" in answer.json()["message"]


async def test_guessing_tokens_is_rate_limited(home) -> None:
    async with serving(joins_per_minute=6) as client:
        made = await ready(client, require_auth=True)
        statuses = [(await offer(client, made, token=str(number))).status_code for number in range(3)]
        assert statuses == [401, 429, 429]
        answer = await offer(client, made)
        assert int(answer.headers["retry-after"]) >= 1


def test_a_token_bucket_refills() -> None:
    now = [0.0]
    limit = RateLimit(60, clock=lambda: now[0])
    assert [limit.take("a") for _ in range(10)] == [0.0] * 10
    assert limit.take("a") == pytest.approx(1.0)
    assert limit.take("b") == 0.0
    now[0] = 1.0
    assert limit.take("a") == 0.0 and limit.take("a") > 0


def test_admission_needs_free_memory() -> None:
    tight = AdmissionControl(8, available_bytes=lambda: KEEP_FREE_BYTES + 100 * MIB, usage=lambda pid: None)
    assert "memory" in str(tight.refusal(0, 0))
    roomy = AdmissionControl(8, available_bytes=lambda: 64 << 30, usage=lambda pid: None)
    assert roomy.refusal(3, 1) is None


def test_admission_needs_free_processors() -> None:
    used = {1: 0.0}
    head = AdmissionControl(2, available_bytes=lambda: 64 << 30, usage=lambda pid: (400 * MIB, used[pid]))
    head.look([1], 0.0)
    assert head.refusal(1, 0) is None  # not measured yet
    used[1] = 1.5
    head.look([1], 1.0)
    assert head.load == pytest.approx(1.5)
    assert "processors" in str(head.refusal(1, 0))
    head.look([], 2.0)
    assert head.refusal(0, 0) is None  # the first one disturbs nobody
    used[1] = 1.7
    head.look([1], 3.0)
    assert head.load == 0.0  # a new worker with an old number, until it was seen twice


def test_loading_models_does_not_count_as_load() -> None:
    used = {1: (900 * MIB, 0.0)}
    head = AdmissionControl(2, available_bytes=lambda: 64 << 30, usage=lambda pid: used[pid])
    head.look([], 0.0, starting=[1])
    used[1] = (1000 * MIB, 3.8)
    head.look([], 2.0, starting=[1])
    head.look([1], 4.0)
    used[1] = (700 * MIB, 4.0)
    head.look([1], 6.0)
    assert head.load == pytest.approx(0.1) and head.peak_bytes == 1000 * MIB
    assert head.refusal(1, 0) is None


def test_memory_and_processes_of_this_machine_are_measured() -> None:
    import os

    usage = process_usage(os.getpid())
    assert usage is not None and usage[0] > MIB and usage[1] > 0
    assert process_usage(2**22 + 1) is None
    assert memory_available() > MIB


async def test_beyond_the_machines_capacity_the_answer_is_400(client: httpx.AsyncClient) -> None:
    client.app.state.services.rooms._admission._available = lambda: 100 * MIB
    answer = await client.post("/v2/conversations", json={"replica_id": "june"})
    assert answer.status_code == 400
    assert answer.json() == {"message": "User has reached maximum concurrent conversations"}


async def test_ended_conversations_leave_no_tasks_or_files_open(client: httpx.AsyncClient) -> None:
    import os

    async def one() -> None:
        made = await create(client)
        await offer(client, made)
        await client.post(f"/v2/conversations/{made['conversation_id']}/end")

    await one()
    files, tasks = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
    for _ in range(8):
        await one()
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    assert len(os.listdir("/proc/self/fd")) <= files
    assert client.app.state.services.rooms.count == 0
