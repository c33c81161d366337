"""`/v2/videos`: films ordered, rendered in turn by a process of their own, renamed and deleted."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import av
import httpx
import pytest
from running import serving
from web_stub import web_stub

from cvi.server.jobs.render_job import COMMAND, RenderJob, film_path
from cvi.server.jobs.webhook_delivery import list_webhooks
from cvi.server.store.database import connect, database_path

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


def set_command(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """Render with this command."""
    defaults = {**RenderJob.__init__.__kwdefaults__, "command": command}
    monkeypatch.setattr(RenderJob.__init__, "__kwdefaults__", defaults)


@pytest.fixture(autouse=True)
def quick_films(monkeypatch: pytest.MonkeyPatch) -> None:
    set_command(monkeypatch, (sys.executable, "-c", RENDER))


async def test_films_are_rendered_in_turn_and_callbacks_sent(client: httpx.AsyncClient) -> None:
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
    told = {
        message.stream: json.loads(message.body) for message in list_webhooks(connect(database_path()), 10)
    }
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
    async with web_stub(answers) as url, serving(urls_to=("127.0.0.1",)) as client:
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
    for _ in range(20_000):
        found = (await client.get(f"/v2/videos/{video['video_id']}")).json()
        if found["status"] in ("ready", "error"):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it is never done")


async def test_invalid_film_orders_are_refused(client: httpx.AsyncClient) -> None:
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


async def test_a_film_fails_when_its_process_dies(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_command(monkeypatch, (sys.executable, "-c", "import os; os._exit(9)"))
    async with serving() as client:
        made = (await client.post("/v2/videos", json={"replica_id": "june", "script": "Hi."})).json()
        found = await settled(client, made)
        assert (found["status"], found["error_details"]) == ("error", "It failed.")


@pytest.mark.timeout(600)
async def test_the_real_process_renders_a_film_and_is_stopped_when_it_is_deleted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_command(monkeypatch, COMMAND)
    async with serving() as client:
        made = [
            (await client.post("/v2/videos", json={"replica_id": "june", "script": script})).json()
            for script in ("Good morning.", "Good evening. " * 200)
        ]
        found = await settled(client, made[0])
        assert found["status"] == "ready", found["error_details"]
        with av.open(str(film_path(made[0]["video_id"]))) as film:
            assert film.streams.video[0].frames > 25 and film.streams.audio
        where = f"/v2/videos/{made[1]['video_id']}"
        while (await client.get(where)).json()["generation_progress"] == "0/100":
            await asyncio.sleep(0.05)
        assert (await client.delete(where)).status_code == 200
        assert (await client.get(where)).status_code == 400
        assert not film_path(made[1]["video_id"]).parent.exists()
    log = home / "films" / made[0]["video_id"] / "render.log"
    assert not log.exists()
