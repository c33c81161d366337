from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from receiver import Receiver
from running import PROMPT, WORKER, create, serving, until

from cvi.cli.webhook_receiver import event_lines
from cvi.client.client import WebhookError, sign, verify
from cvi.errors import UsageError
from cvi.server.jobs.queue import RetryPolicy
from cvi.server.jobs.webhook_delivery import (
    KEEP_TRYING_S,
    KIND,
    WebhookDelivery,
    find_webhook,
    list_webhooks,
    queue_webhook,
    resend_webhook,
    webhook_secret,
)
from cvi.server.store import jobs
from cvi.server.store.database import connect, database_path, transact

SECRET = "whsec_" + "c2VjcmV0" * 4
FULL = ["system.replica_joined", "system.shutdown", "application.transcription_ready"]


@pytest.fixture
async def receiver(home: Path) -> AsyncIterator[Receiver]:
    connection = connect(database_path())
    found = Receiver(secret=transact(connection, webhook_secret))
    connection.close()
    await found.up()
    yield found
    with contextlib.suppress(AssertionError):
        await found.down()


async def test_the_events_of_a_conversation_arrive_in_order_and_signed(receiver: Receiver) -> None:
    async with serving(urls_to=("127.0.0.1",)) as client:
        made = await create(client, callback_url=receiver.url)
        await until(lambda: receiver.kinds(made["conversation_id"]))
        await client.post(f"/v2/conversations/{made['conversation_id']}/end")
        await until(lambda: len(receiver.events) == 3)
    assert receiver.kinds(made["conversation_id"]) == FULL
    joined, shutdown, transcript = receiver.events
    assert joined["message_type"] == "system" and joined["webhook_url"] == receiver.url
    assert joined["properties"]["replica_id"] == made["replica_id"] == joined["properties"]["face_id"]
    assert shutdown["properties"]["shutdown_reason"] == "end_conversation_endpoint_hit"
    roles = [line["role"] for line in transcript["properties"]["transcript"]]
    assert roles == ["system", "user", "assistant"]
    assert PROMPT in transcript["properties"]["transcript"][0]["content"]


async def test_a_failed_delivery_is_retried_before_later_ones_are_sent(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WebhookDelivery, "retry", RetryPolicy(first_pause_s=0.02, jitter=0.5))
    receiver.answers = [500, 429, 302]
    async with serving(urls_to=("127.0.0.1",)) as client:
        made = await create(client, callback_url=receiver.url)
        await client.post(f"/v2/conversations/{made['conversation_id']}/end")
        await until(lambda: len(receiver.events) >= 3)
    assert receiver.refused == 3
    assert receiver.kinds(made["conversation_id"])[-2:] == FULL[-2:]


async def test_one_stream_does_not_hold_up_another(receiver: Receiver) -> None:
    async with serving(urls_to=("127.0.0.1",)) as client:
        stuck = await create(client, callback_url="http://127.0.0.1:1/closed")
        made = await create(client, callback_url=receiver.url)
        for each in (stuck, made):
            await client.post(f"/v2/conversations/{each['conversation_id']}/end")
        await until(lambda: len(receiver.kinds(made["conversation_id"])) >= 2)
    connection = connect(database_path())
    waiting = list_webhooks(connection, 10, stuck["conversation_id"])
    assert {message.state for message in waiting} == {"waiting"}
    assert sum(message.attempts > 0 for message in waiting) == 1


SERVER = """
import sys
from cvi.server.settings import ServerSettings
from cvi.server.jobs.queue import RetryPolicy
from cvi.server.jobs.webhook_delivery import WebhookDelivery
from cvi.server.serving import run
WebhookDelivery.retry = RetryPolicy(first_pause_s=0.1, jitter=0.5)
settings = ServerSettings(port=int(sys.argv[1]), worker=tuple(sys.argv[2:]), urls_to=("127.0.0.1",),
    max_conversations=4, profile="embedded")
run(settings, lambda key: print("up", flush=True))
"""


def start_server(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SERVER, str(port), *WORKER]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    return process


async def test_nothing_is_lost_when_the_receiver_is_down_and_the_server_killed(receiver: Receiver) -> None:
    """The figure of the issue: at least once, in order, signed, through an outage and a kill -9."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    server = await asyncio.to_thread(start_server, port)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            first = await create(client, callback_url=receiver.url)
            await until(lambda: receiver.kinds(first["conversation_id"]))
            await receiver.down()
            second = await create(client, callback_url=receiver.url)
            await client.post(f"/v2/conversations/{first['conversation_id']}/end")
            await asyncio.sleep(0.5)
            server.send_signal(signal.SIGKILL)
            server.wait()
        await receiver.up()
        server = await asyncio.to_thread(start_server, port)
        ids = (first["conversation_id"], second["conversation_id"])
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            ended = await client.post(f"/v2/conversations/{ids[1]}/end")
            assert ended.status_code == 200, "it had gone on"
        await until(lambda: all(receiver.kinds(each)[-2:] == FULL[-2:] for each in ids))
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0
    assert receiver.kinds(ids[0]) == FULL
    assert receiver.kinds(ids[1]) in (FULL, FULL[1:])  # killed before or after it was ready
    reasons = {
        event["conversation_id"]: event["properties"]["shutdown_reason"]
        for event in receiver.events
        if event["event_type"] == "system.shutdown"
    }
    assert reasons == {ids[0]: "end_conversation_endpoint_hit", ids[1]: "end_conversation_endpoint_hit"}


def test_the_workers_of_a_killed_server_end_by_themselves(home: Path) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    server = start_server(port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.post("/v2/conversations", json={"replica_id": "june"}).status_code == 200
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    server.kill()
    server.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.02)


def test_pauses_double_with_jitter_up_to_an_hour() -> None:
    retry = WebhookDelivery.retry
    assert [retry.pause_s(number, lambda: 1.0) for number in (1, 2, 3)] == [2.0, 4.0, 8.0]
    assert retry.pause_s(1, lambda: 0.0) == 1.0
    assert retry.pause_s(10_000, lambda: 1.0) == 3600.0


@pytest.fixture
def store(home: Path) -> sqlite3.Connection:
    return connect(database_path())


def first_open(store: sqlite3.Connection) -> list[str]:
    return [job.id for job in jobs.first_open(store)]


def test_after_a_message_is_given_up_the_next_one_is_sent(store: sqlite3.Connection) -> None:
    one = queue_webhook(store, "c1", "http://x.org", "a", {}, 0.0)
    two = queue_webhook(store, "c1", "http://x.org", "b", {}, 0.0)
    assert first_open(store) == [one]
    jobs.begin(store, KIND, one, 5.0)
    jobs.try_again(store, KIND, one, "no", 10.0, 20.0)
    assert first_open(store) == [one]
    assert find_webhook(store, one).until == KEEP_TRYING_S
    jobs.begin(store, KIND, one, 20.0)
    jobs.finish(store, KIND, one, "failed", "no", 30.0)
    assert (find_webhook(store, one).state, find_webhook(store, one).attempts) == ("given_up", 2)
    assert first_open(store) == [two]
    resend_webhook(store, one, 5.0)
    assert first_open(store) == [one] and find_webhook(store, one).attempts == 0


def test_without_an_address_nothing_is_queued(store: sqlite3.Connection) -> None:
    assert queue_webhook(store, "c1", "", "a", {}, 0.0) == "" and first_open(store) == []


def test_an_unknown_webhook_is_a_usage_error(store: sqlite3.Connection) -> None:
    with pytest.raises(UsageError, match="no webhook"):
        resend_webhook(store, "msg_none", 0.0)


# Example of the Standard Webhooks specification's reference libraries.
def test_the_signature_matches_the_standards_example() -> None:
    headers = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("change", ["body", "id", "time", "old", "secret", "missing"])
def test_altered_messages_are_refused(change: str) -> None:
    headers = sign(SECRET, "msg_1", 1000, b"{}")
    assert verify(SECRET, headers, b"{}", 1000) == "msg_1"
    other = {
        "body": (SECRET, headers, b"{ }", 1000),
        "id": (SECRET, {**headers, "webhook-id": "msg_2"}, b"{}", 1000),
        "time": (SECRET, {**headers, "webhook-timestamp": "1001"}, b"{}", 1000),
        "old": (SECRET, headers, b"{}", 1301),
        "secret": ("whsec_" + "b3RoZXIh" * 4, headers, b"{}", 1000),
        "missing": (SECRET, {}, b"{}", 1000),
    }[change]
    with pytest.raises(WebhookError):
        verify(*other)


def run_cvi(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CVI_HOME": str(home)}
    command = [sys.executable, "-c", "from cvi.cli.app import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_the_command_lists_shows_and_resends(home: Path, store: sqlite3.Connection) -> None:
    message = queue_webhook(store, "c1", "http://x.org", "system.shutdown", {"a": "é"}, 0.0)
    jobs.begin(store, KIND, message, 0.5)
    jobs.finish(store, KIND, message, "succeeded", "HTTP 204", 1.0)
    listed = run_cvi("webhooks", "list", home=home)
    assert message in listed.stdout and "delivered" in listed.stdout
    assert '"a": "é"' in run_cvi("webhooks", "show", message, home=home).stdout
    assert run_cvi("webhooks", "resend", message, home=home).returncode == 0
    assert find_webhook(store, message).state == "waiting"
    wrong = run_cvi("webhooks", "show", "nothing", home=home)
    assert wrong.returncode == 2 and "There is no webhook 'nothing'" in wrong.stderr
    own, others = (run_cvi("webhooks", "secret", *who, home=home).stdout for who in ((), ("--owner", "them")))
    assert own.startswith("whsec_") and others.startswith("whsec_") and own != others


def test_what_is_received_is_shown_with_and_without_an_envelope() -> None:
    event = {
        "event_type": "system.shutdown",
        "timestamp": "2026-01-01T00:00:00Z",
        "properties": {"shutdown_reason": "x"},
    }
    assert event_lines(event, "msg_1") == (
        "2026-01-01T00:00:00Z  system.shutdown  msg_1",
        '    {"shutdown_reason": "x"}',
    )
    head, body = event_lines({"replica_id": "r1", "status": "ready"}, "msg_2")
    assert head == "replica  ready  msg_2" and '"r1"' in body
