"""The server with the worker that people get: real engines, a real peer on this machine."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from receiver import Receiver
from running import listening, until

from cvi.server.store.database import connect, database_path, transact
from cvi.server.webhooks.delivery import webhook_secret

aiortc = pytest.importorskip("aiortc", reason="the server extra is not installed")

WORKER = (sys.executable, "-m", "cvi.server.worker")


@pytest.mark.timeout(180)
async def test_greeted_over_webrtc_and_told_by_webhook(home: Path) -> None:
    connection = connect(database_path())
    receiver = Receiver(secret=transact(connection, webhook_secret))
    await receiver.up()
    peer = aiortc.RTCPeerConnection()
    async with listening(worker=WORKER, urls_to=("127.0.0.1",)) as url, httpx.AsyncClient(base_url=url, timeout=90) as client:
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
                if event["event_type"] == "conversation.utterance" and event["properties"]["role"] == "replica"
            ]

        await until(said, 30)
        assert said() == ["Good morning."]
        config = (await client.get(f"/c/{id}/config")).json()
        assert config["state"] == "ready" and config["persona_name"]
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
        await until(lambda: len(receiver.kinds(id)) >= 3)
    await peer.close()
    assert (done["status"], done["shutdown_reason"]) == ("ended", "end_conversation_endpoint_hit")
    kinds = ["system.replica_joined", "system.shutdown", "application.transcription_ready"]
    assert [event["event_type"] for event in done["events"]][:3] == kinds
    assert receiver.kinds(id)[:3] == kinds
    lines = done["events"][2]["properties"]["transcript"]
    assert lines[0]["role"] == "assistant" and lines[0]["content"].startswith("Good")
