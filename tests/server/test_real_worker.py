"""The server with the worker that people get: real engines, a real peer on this machine."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from receiver import Receiver
from running import listening, until

from cvi.server.jobs.webhook_delivery import webhook_secret
from cvi.server.store.database import connect, database_path, transact

aiortc = pytest.importorskip("aiortc", reason="the server extra is not installed")

WORKER = (sys.executable, "-m", "cvi.server.worker")
STARTED_AND_ENDED = [
    "system.replica_joined",
    "system.shutdown",
    "application.transcription_ready",
    "application.perception_analysis",
]


@pytest.mark.timeout(180)
async def test_greeted_over_webrtc_and_told_by_webhook(home: Path) -> None:
    connection = connect(database_path())
    receiver = Receiver(secret=transact(connection, webhook_secret))
    await receiver.up()
    peer = aiortc.RTCPeerConnection()
    async with (
        listening(worker=WORKER, urls_to=("127.0.0.1",)) as url,
        httpx.AsyncClient(base_url=url, timeout=90) as client,
    ):
        body = {
            "persona_id": "guide",
            "replica_id": "june",
            "audio_only": True,
            "custom_greeting": "Good morning.",
            "callback_url": receiver.url,
        }
        made = (await client.post("/v2/conversations", json=body)).json()
        id = made["conversation_id"]
        await until(lambda: receiver.kinds(id), 90)
        events: list[dict] = []
        channel = peer.createDataChannel("cvi")
        channel.on("message", lambda text: events.append(json.loads(text)))
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        answer = await client.post(f"/c/{id}/offer", json={"sdp": peer.localDescription.sdp})
        assert answer.status_code == 200, answer.text
        await peer.setRemoteDescription(aiortc.RTCSessionDescription(answer.json()["sdp"], "answer"))

        def said() -> list[str]:
            return [
                event["properties"]["speech"]
                for event in events
                if event["event_type"] == "conversation.utterance"
                and event["properties"]["role"] == "replica"
            ]

        await until(said, 30)
        assert said() == ["Good morning."]
        config = (await client.get(f"/c/{id}/config")).json()
        assert config["state"] == "ready" and config["persona_name"]
        log = (home / "conversations" / id / "worker.log").read_text()
        assert "joined" in log and not re.search(r"\d+\.\d+\.\d+\.\d+", log), "no participant's address"
        kind = "conversation.replica.stopped_speaking"
        await until(lambda: [event for event in events if event["event_type"] == kind], 30)
        # Sound of the application's own, in two pieces.
        wave = (8000 * np.sin(np.arange(12_000) * 0.1)).astype("<i2").tobytes()
        for number in range(2):
            audio = {"modality": "audio", "audio": base64.b64encode(wave).decode(), "sample_rate": 24_000}
            properties = {**audio, "inference_id": "mine", "done": number == 1}
            echo = {"event_type": "conversation.echo", "properties": properties}
            assert (await client.post(f"/v2/conversations/{id}/interactions", json=echo)).status_code == 202

        def stopped() -> list[dict]:
            return [e for e in events if e["event_type"] == kind and e["inference_id"] == "mine"]

        await until(stopped, 30)
        assert stopped()[0]["properties"]["duration"] == pytest.approx(1.0, abs=0.2)
        assert (await client.post(f"/v2/conversations/{id}/end")).status_code == 200
        done = (await client.get(f"/v2/conversations/{id}?verbose=true")).json()
        await until(lambda: len(receiver.kinds(id)) >= 4)
    await peer.close()
    assert (done["status"], done["shutdown_reason"]) == ("ended", "end_conversation_endpoint_hit")
    assert [event["event_type"] for event in done["events"]] == STARTED_AND_ENDED
    assert receiver.kinds(id) == STARTED_AND_ENDED
    lines = done["events"][2]["properties"]["transcript"]
    assert lines[0]["role"] == "assistant" and lines[0]["content"].startswith("Good")


def worker_of(id: str) -> int | None:
    """The process of a conversation: the one whose log lies in its folder; None between two of them."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"/{id}/worker.log" in os.readlink(entry / "fd" / "2"):
                    return int(entry.name)
            except OSError:
                continue
    return None


async def state(client: httpx.AsyncClient, id: str) -> str:
    """What a room's page is told; it may ask once a second for long (`joins_per_minute`)."""
    answer = await client.get(f"/c/{id}/config")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["state"])


def journal(home: Path, id: str) -> str:
    path = home / "conversations" / id / "journal.jsonl"
    return path.read_text() if path.is_file() else ""


async def typed(client: httpx.AsyncClient, home: Path, id: str, text: str) -> None:
    """Say something in a typed conversation, and wait for the whole reply."""
    replies = journal(home, id).count('"reply_finished"')
    respond = {"event_type": "conversation.respond", "properties": {"text": text}}
    assert (await client.post(f"/v2/conversations/{id}/interactions", json=respond)).status_code == 202
    await until(lambda: journal(home, id).count('"reply_finished"') > replies, 60)


@pytest.mark.timeout(240)
async def test_greeted_by_the_model_then_killed_it_ends_alone(home: Path) -> None:
    """Two real workers; the one that somebody is in dies, and nothing else does."""
    from cvi.testing.webrtc_participant import WebRtcParticipant

    connection = connect(database_path())
    receiver = Receiver(secret=transact(connection, webhook_secret))
    await receiver.up()
    settings = {"worker": WORKER, "urls_to": ("127.0.0.1",), "max_conversations": 2}
    async with listening(**settings) as url, httpx.AsyncClient(base_url=url, timeout=90) as client:
        both = {"persona_id": "guide", "callback_url": receiver.url}
        spoken = {**both, "replica_id": "june", "audio_only": True, "enable_dynamic_greeting": True}
        victim = (await client.post("/v2/conversations", json=spoken)).json()["conversation_id"]
        await until(lambda: receiver.kinds(victim), 90)
        other = (await client.post("/v2/conversations", json={**both, "chat": True})).json()[
            "conversation_id"
        ]
        await until(lambda: receiver.kinds(other), 90)

        async def signalled(sdp: str) -> str:
            answer = await client.post(f"/c/{victim}/offer", json={"sdp": sdp})
            assert answer.status_code == 200, answer.text
            return str(answer.json()["sdp"])

        guest = WebRtcParticipant(video=False)
        await guest.join(signalled)
        greeting = await guest.until(lambda: guest.event("conversation.utterance"), 60)
        assert (
            greeting["properties"]["role"] in ("pal", "replica")
            and len(greeting["properties"]["speech"].split()) >= 2
        )
        await guest.until(lambda: any(np.abs(pcm.astype(int)).max() > 1000 for _, pcm in guest.heard), 30)
        await guest.until(lambda: guest.event("conversation.replica.stopped_speaking"), 60)

        killed = worker_of(victim)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(90):
            while worker_of(victim) in (None, killed) or await state(client, victim) != "ready":
                await asyncio.sleep(1.0)
        await guest.leave()
        assert (await client.get(f"/v2/conversations/{victim}")).json()["status"] == "active"
        assert (await client.post(f"/v2/conversations/{victim}/end")).status_code == 200
        await until(lambda: len(receiver.kinds(victim)) >= 3, 30)
        dead = (await client.get(f"/v2/conversations/{victim}?verbose=true")).json()
        assert (dead["status"], dead["shutdown_reason"]) == ("ended", "end_conversation_endpoint_hit")
        # What it had said is in its journal, and so in what is told of it.
        assert "reply_finished" in journal(home, victim)
        (transcript,) = [
            e["properties"]["transcript"]
            for e in dead["events"]
            if e["event_type"].endswith("transcription_ready")
        ]
        (line,) = transcript
        assert line["role"] == "assistant" and line["content"] and line["duration"] > 0.3
        assert line["inference_id"] == greeting["inference_id"], "as it was told live"
        # Nobody came back: there is nothing to analyse. The small model may greet against a guardrail.
        ended = [kind for kind in receiver.kinds(victim) if "guardrail" not in kind]
        assert ended == STARTED_AND_ENDED[:-1]
        assert (await client.post(f"/c/{victim}/offer", json={"sdp": "v=0"})).status_code == 410

        # The other one never noticed, and the place is free again.
        assert await state(client, other) == "ready"
        await typed(client, home, other, "Hello, who are you?")
        assert (await client.get("/readyz")).status_code == 200
        metrics = (await client.get("/metrics")).text
        assert "cvi_conversations_crashed_total 1.0" in metrics, [
            line for line in metrics.splitlines() if "conversations" in line
        ]
        assert (await client.post(f"/v2/conversations/{other}/end")).status_code == 200
        await until(lambda: len(receiver.kinds(other)) >= 4, 30)
    assert receiver.kinds(other) == STARTED_AND_ENDED


@pytest.mark.timeout(180)
async def test_told_to_stop_it_lets_a_real_conversation_end_by_itself(home: Path) -> None:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    command = [sys.executable, "-c", "from cvi.cli.app import main; main()", "serve", "--port", str(port)]
    with (home / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--profile", "embedded", "--drain", "90"], stdout=subprocess.DEVNULL, stderr=log
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            async with asyncio.timeout(60):
                while True:
                    try:
                        await client.get("/healthz")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.1)
            body = {"persona_id": "guide", "chat": True}
            id = (await client.post("/v2/conversations", json=body)).json()["conversation_id"]
            await typed(client, home, id, "Good morning.")
            server.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10):
                while (await client.get("/readyz")).status_code != 503:
                    await asyncio.sleep(0.05)
            refused = await client.post("/v2/conversations", json=body)
            assert refused.status_code == 503 and "stopping" in refused.json()["message"]
            await typed(client, home, id, "Are you still there?")
            assert server.poll() is None
            assert (await client.post(f"/v2/conversations/{id}/end")).status_code == 200
        assert await asyncio.to_thread(server.wait, 30) == 0
    finally:
        server.kill()
    assert '"reason": "end_conversation_endpoint_hit"' in (home / "serve.log").read_text()
