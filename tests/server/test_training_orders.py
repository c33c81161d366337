"""Replicas ordered through the API: footage, queue, results; and the training process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from running import listening, serving, until
from web_stub import web_stub

from cvi.client import Client
from cvi.client.client import ApiError
from cvi.server.jobs import received_files, training_job, training_orders
from cvi.server.jobs.queue import RetryPolicy
from cvi.server.jobs.received_files import footage_folder, make_footage_folder
from cvi.server.jobs.training_orders import folder_name, missing_for_training
from cvi.server.jobs.webhook_delivery import list_webhooks
from cvi.server.store.database import connect, database_path

CONSENT = "I, Pia Puppet, agree that a replica of my face is made from this footage."
HOOK = "https://93.184.216.34/hook"

# In the place of the training process: the last word of the footage says how it ends.
TRAIN = """
import json, os, pathlib, sys, time, yaml
order = json.loads(sys.stdin.readline())
film, home = pathlib.Path(order["film"]), pathlib.Path(os.environ["CVI_HOME"])
tell = lambda message: print(json.dumps(message), flush=True)
(home / "training" / order["name"]).mkdir(parents=True, exist_ok=True)
tell({"type": "progress", "stage": "train", "done": 1, "of": 2})
mode = film.read_bytes().split()[-1]
if mode == b"waits":
    pathlib.Path(home, "pid").write_text(str(os.getpid()))
    while not (home / "go").exists():
        time.sleep(0.02)
if mode == b"dies":
    os.kill(os.getpid(), 9)
if mode == b"bad":
    tell({"type": "failed", "message": "The footage is unusable: nobody is in it."})
    sys.exit(2)
made = home / "replicas" / order["name"]
made.mkdir(parents=True)
consent = pathlib.Path(order["consent"]).read_text() if order["consent"] else ""
card = {"name": order["name"], "renderer": "neural", "files": {}, "consent": consent, "order": order,
        "training": {"footage": {"path": str(film)}}}
(made / "replica.yaml").write_text(yaml.safe_dump(card))
tell({"type": "succeeded"})
"""


def film(mode: str) -> bytes:
    return b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00 and so on " + mode.encode()


def set_command(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """Train with this command."""
    defaults = {**training_job.TrainingJob.__init__.__kwdefaults__, "command": command}
    monkeypatch.setattr(training_job.TrainingJob.__init__, "__kwdefaults__", defaults)


@pytest.fixture(autouse=True)
def can_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that can train, with TRAIN in the place of the training process."""
    monkeypatch.setattr("cvi.server.api.replicas.missing_for_training", lambda: None)
    set_command(monkeypatch, (sys.executable, "-c", TRAIN))
    monkeypatch.setattr(training_job.TrainingJob, "retry", RetryPolicy(most_attempts=3))


async def place_order(client: httpx.AsyncClient, noun: str = "replicas", **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/v2/{noun}", json={"replica_name": "Anna Müller", **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def upload_film(client: httpx.AsyncClient, mode: str) -> str:
    answer = await client.post("/v2/uploads", content=film(mode))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["upload_url"])


async def until_ended(client: httpx.AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    for _ in range(12_000):
        found: dict[str, Any] = (await client.get(f"/v2/replicas/{made['replica_id']}")).json()
        if found["status"] != "started":
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("it is never done")


def callbacks_of(made: dict[str, Any]) -> list[dict[str, Any]]:
    """The webhooks of a replica."""
    return [
        json.loads(message.body)
        for message in list_webhooks(connect(database_path()), 10, made["replica_id"])
    ]


def leftovers(home: Path) -> list[str]:
    """The footage, work and upload folders that still exist."""
    roots = (home / "footage", home / "training", home / "uploads")
    return [str(path) for root in roots if root.is_dir() for path in root.iterdir()]


async def test_a_fetched_film_becomes_a_replica_and_the_callback_is_sent(home: Path) -> None:
    answers = {
        "/me.mp4": (200, film("good"), ""),
        "/moved": (302, b"", "/me.mp4"),
        "/yes.webm": (200, b"\x1aE\xdf\xa3" + film("yes"), ""),
    }
    async with web_stub(answers) as url, serving(urls_to=("127.0.0.1",)) as client:
        films = {"train_video_url": f"{url}/moved", "consent_video_url": f"{url}/yes.webm"}
        made = await place_order(client, "faces", **films, callback_url=HOOK, model_name="phoenix-4")
        assert made["status"] == "started" and made["face_id"] == made["replica_id"]
        assert made["face_name"] == "Anna Müller" and made["replica_type"] == "user"
        done = await until_ended(client, made)
        assert (done["status"], done["training_progress"], done["error_message"]) == (
            "completed",
            "100/100",
            None,
        )
        assert (done["replica_id"], done["replica_name"]) == (made["replica_id"], "Anna Müller")
        listed = (await client.get("/v2/replicas?replica_type=user")).json()
        assert [row["replica_id"] for row in listed["data"]] == [made["replica_id"]] and listed[
            "total_count"
        ] == 1
        assert callbacks_of(made) == [
            {"replica_id": made["replica_id"], "face_id": made["replica_id"], "status": "ready"}
        ]
        await until(lambda: leftovers(home) == [])
        order = client.app.state.services.replicas.find(made["replica_id"]).card["order"]
        assert order["name"] == "anna-muller" and order["consent_by"] == "Anna Müller"
        assert order["quality"] == "standard" and order["consent"].endswith("consent.mkv")
        assert (await client.delete(f"/v2/faces/{made['face_id']}?hard=true")).status_code == 200
        assert (await client.get(f"/v2/faces/{made['face_id']}")).status_code == 400


async def test_an_upload_serves_one_order_and_a_text_can_be_the_consent(
    client: httpx.AsyncClient, home: Path
) -> None:
    address = await upload_film(client, "good")
    words = {"consent_text": CONSENT, "script": "Bob buys maps.", "quality": "tiny"}
    made = await place_order(client, train_video_url=address, **words)
    assert (await until_ended(client, made))["status"] == "completed"
    card = client.app.state.services.replicas.find(made["replica_id"]).card
    assert card["consent"] == CONSENT and card["order"]["quality"] == "tiny"
    again = await client.post("/v2/replicas", json={"train_video_url": address})
    assert again.status_code == 400 and "no such upload" in again.json()["error"]
    # Without any consent the film itself begins with it, and by whom is as good as unknown.
    made = await place_order(client, replica_name="", train_video_url=await upload_film(client, "good"))
    await until_ended(client, made)
    order = client.app.state.services.replicas.find(made["replica_id"]).card["order"]
    assert (order["name"], order["consent"], order["consent_by"]) == (
        "replica",
        None,
        "the person in the footage",
    )
    await until(lambda: leftovers(home) == [])


async def test_uploads_must_be_films_within_the_limits(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    for body, status in (
        (b"#EXTM3U\nfile:///etc/passwd", 400),
        (b"", 400),
        (b"ftyp", 400),
        (b"RIFF....WAVEfmt nothing", 400),
    ):
        assert (await client.post("/v2/uploads", content=body)).status_code == status
    uploads = client.app.state.services.training.uploads

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield film("good")

    from cvi.server.contract import HttpProblem

    with pytest.raises(HttpProblem) as refused:
        await uploads.receive(pieces(), 100)
    assert refused.value.status == 413
    many = [await upload_film(client, "good") for _ in range(received_files.MOST_UPLOADS)]
    assert (await client.post("/v2/uploads", content=film("good"))).status_code == 429
    assert (await client.delete(f"/v2/uploads/{many[0].removeprefix('upload:')}")).status_code == 204
    assert (await client.delete(f"/v2/uploads/{many[0].removeprefix('upload:')}")).status_code == 400
    old = uploads.find(many[1])
    os.utime(old, (1.0, 1.0))
    await upload_film(client, "good")
    assert not old.exists(), "a day is over"
    monkeypatch.setattr(received_files.need_free_space, "__defaults__", (1 << 60,))
    uploads.remove(many[2])
    assert (await client.post("/v2/uploads", content=film("good"))).status_code == 503


async def test_the_python_client_uploads_a_film_larger_than_other_bodies(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "me.mp4"
    path.write_bytes(film("much ") + bytes(5 << 20) + b" good")

    def order(url: str) -> None:
        with Client(url) as client:
            made = client.train_replica(replica_name="Anna", train_video_url=client.upload(path))
            client.rename_replica(made["replica_id"], "Bea")
            for _ in range(12_000):
                if (found := client.replica(made["replica_id"]))["status"] != "started":
                    break
                time.sleep(0.01)
            assert (found["status"], found["replica_name"]) == ("completed", "Bea")
            client.delete_replica(made["replica_id"], hard=True)
            with pytest.raises(ApiError, match="Invalid replica_id"):
                client.replica(made["replica_id"])

    async with listening() as url:
        await asyncio.to_thread(order, url)


async def test_a_failed_order_says_why_and_its_footage_is_removed(home: Path) -> None:
    answers = {
        "/bad.mp4": (200, film("bad"), ""),
        "/list.m3u8": (200, b"#EXTM3U\nfile:///etc/passwd", ""),
        "/gone.mp4": (404, b"", ""),
        "/inner.mp4": (302, b"", "http://10.0.0.1/secret.mp4"),
        "/dies.mp4": (200, film("dies"), ""),
    }
    words = {
        "bad": "nobody is in it",
        "list": "no film",
        "gone": "404",
        "inner": "10.0.0.1",
        "dies": "before its work",
    }
    async with web_stub(answers) as url, serving(urls_to=("127.0.0.1",)) as client:
        for path in answers:
            made = await place_order(client, train_video_url=url + path, callback_url=HOOK)
            done = await until_ended(client, made)
            said = words[path.strip("/").split(".")[0]]
            assert done["status"] == "error" and said in done["error_message"]
            (hook,) = callbacks_of(made)
            assert hook["status"] == "error" and hook["error_message"] == done["error_message"]
        await until(lambda: leftovers(home) == [])
        listed = (await client.get(f"/v2/replicas?replica_ids={made['replica_id']}")).json()
        assert listed["total_count"] == 1 and listed["data"][0]["status"] == "error"
        assert (await client.delete(f"/v2/replicas/{made['replica_id']}")).status_code == 200
        assert (await client.get(f"/v2/replicas/{made['replica_id']}")).status_code == 400


async def test_one_trains_at_a_time_few_wait_and_deletion_removes_everything(
    client: httpx.AsyncClient, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_orders, "MOST_OPEN", 2)
    first = await place_order(client, train_video_url=await upload_film(client, "waits"))
    second = await place_order(client, train_video_url=await upload_film(client, "good"))
    assert second["replica_id"] != first["replica_id"], "two of one name"
    third = await client.post("/v2/replicas", json={"train_video_url": "https://93.184.216.34/a.mp4"})
    assert third.status_code == 429 and "2 replicas" in third.json()["message"]
    pid = int(await until(lambda: (home / "pid").is_file() and (home / "pid").read_text()))
    for _ in range(12_000):
        half = (await client.get(f"/v2/replicas/{first['replica_id']}")).json()
        if half["training_progress"] != "0/100":
            break
        await asyncio.sleep(0.01)
    assert (half["status"], half["training_progress"]) in (("started", "2/100"), ("started", "55/100"))
    renamed = await client.patch(f"/v2/replicas/{second['replica_id']}/name", json={"replica_name": "Second"})
    assert renamed.json()["replica_name"] == "Second"
    answer = await client.post("/v2/conversations", json={"replica_id": first["replica_id"]})
    assert answer.status_code == 400
    assert (await client.delete(f"/v2/replicas/{first['replica_id']}")).status_code == 200
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (
        not footage_folder(first["replica_id"]).exists() and not (home / "training" / "anna-muller").exists()
    )
    assert (await until_ended(client, second))["replica_name"] == "Second"
    assert callbacks_of(first) == []


async def test_a_restarted_server_resumes_training(home: Path) -> None:
    async with serving() as client:
        made = await place_order(
            client, train_video_url=await upload_film(client, "waits"), callback_url=HOOK
        )
        pid = int(await until(lambda: (home / "pid").is_file() and (home / "pid").read_text()))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    # What a server that was killed leaves of an order that is no more.
    make_footage_folder("r0").joinpath("footage.mp4").write_bytes(b"film")
    (home / "go").touch()
    async with serving() as client:
        assert not footage_folder("r0").exists()
        assert (await until_ended(client, made))["status"] == "completed"
        assert [hook["status"] for hook in callbacks_of(made)] == ["ready"]


async def test_a_replica_that_was_finished_before_a_crash_is_not_trained_again(home: Path) -> None:
    async with serving() as client:
        made = await place_order(client, train_video_url=await upload_film(client, "waits"))
        await until(lambda: (home / "pid").is_file())
    (home / "replicas" / "anna-muller").mkdir(parents=True)
    source = footage_folder(made["replica_id"]) / "footage.mp4"
    card = f"name: anna-muller\nfiles: {{}}\ntraining: {{footage: {{path: '{source}'}}}}\n"
    (home / "replicas" / "anna-muller" / "replica.yaml").write_text(card)
    async with serving() as client:
        assert (await until_ended(client, made))["replica_name"] == "Anna Müller"
        assert "order" not in client.app.state.services.replicas.find(made["replica_id"]).card


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"train_image_url": "https://93.184.216.34/a.png", "voice_name": "june"}, 501, "image"),
        (
            {
                "train_video_url": "https://93.184.216.34/a.mp4",
                "properties": {"background_green_screen": True},
            },
            501,
            "green",
        ),
        ({"train_video_url": "file:///etc/passwd"}, 400, "no web address"),
        ({"train_video_url": "upload:../../cvi.sqlite3"}, 400, "no such upload"),
        (
            {"train_video_url": "https://93.184.216.34/a.mp4", "consent_video_url": "http://127.0.0.1/a.mp4"},
            400,
            "private",
        ),
        (
            {"train_video_url": "https://93.184.216.34/a.mp4", "callback_url": "upload:u"},
            400,
            "no web address",
        ),
        ({"train_video_url": "https://93.184.216.34/a.mp4", "consent_text": "yes"}, 400, "no consent"),
        (
            {"train_video_url": "https://93.184.216.34/a.mp4", "consent_text": "/etc/passwd"},
            400,
            "no consent",
        ),
        (
            {"train_video_url": "https://93.184.216.34/a.mp4", "consent_text": "I agree to all of it here."},
            400,
            "who agrees",
        ),
        ({"train_video_url": "https://93.184.216.34/a.mp4", "quality": "best"}, 400, "quality"),
    ],
)
async def test_invalid_orders_are_refused(
    client: httpx.AsyncClient, body: dict, status: int, words: str
) -> None:
    answer = await client.post("/v2/replicas", json=body)
    assert answer.status_code == status, answer.text
    assert words in (answer.json().get("error") or answer.json()["message"])


async def test_a_server_without_training_packages_answers_501_with_the_remedy(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cvi.server.api.replicas.missing_for_training", missing_for_training)
    monkeypatch.setattr("cvi.server.jobs.training_orders.find_spec", lambda name: None)
    body = {"train_video_url": "https://93.184.216.34/a.mp4"}
    answer = await client.post("/v2/replicas", json=body)
    assert answer.status_code == 501 and "pip install 'cvi-local[train]'" in answer.json()["message"]
    monkeypatch.setattr("cvi.server.jobs.training_orders.find_spec", lambda name: object())
    monkeypatch.setenv("CVI_FACE_MESH", str(tmp_path / "nowhere"))
    answer = await client.post("/v2/replicas", json=body)
    assert answer.status_code == 501 and "cvi replica setup" in answer.json()["message"]


def test_folder_names_are_accepted_by_the_command_line() -> None:
    from cvi.face.replica import check_name

    for title, name in (
        ("Anna Müller", "anna-muller"),
        ("安娜", "replica"),
        ("../../etc", "etc"),
        ("-_x_-", "x"),
        ("A" * 255, "a" * 48),
    ):
        assert check_name(folder_name(title, ())) == name
    assert folder_name("Anna", {"anna", "anna-2"}) == "anna-3"


# -- the process that does it ---------------------------------------------------------------------

SMALL = """
import sys
sys.path.insert(0, sys.argv[1])
from puppet import BlobTracker
from cvi.training import pipeline
from cvi.training.model import config
config.TIERS["tiny"] = config.QualityTier(96, (8, 12, 16, 16), int(sys.argv[2]), batch=4)
pipeline.train_replica.__defaults__ = (*pipeline.train_replica.__defaults__[:2], BlobTracker)
pipeline.refuse_unusable = lambda footage, grade: None
pipeline.voices_for = lambda sound: {}
from cvi.server.jobs.training_process import main
main()
"""


def pipeline(steps: int, code: str = SMALL) -> tuple[str, ...]:
    """The command of the real pipeline made small: a puppet's face, a tracker of blobs, few steps."""
    return sys.executable, "-c", code, str(Path(__file__).parents[1] / "training"), str(steps)


@pytest.fixture(scope="session")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="training needs torch, which is not installed")
    pytest.importorskip("safetensors", reason="training needs safetensors, which is not installed")
    sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
    from puppet import Puppet

    return Puppet.make(8.0).write(tmp_path_factory.mktemp("film") / "pia.mp4")


@asynccontextmanager
async def training(monkeypatch: pytest.MonkeyPatch, steps: int) -> AsyncIterator[httpx.AsyncClient]:
    set_command(monkeypatch, pipeline(steps))
    async with serving() as client:
        yield client


async def done(client: httpx.AsyncClient, made: dict[str, Any], least: int = 100) -> dict[str, Any]:
    """The replica once its progress is at least so many percent."""
    for _ in range(15_000):
        found: dict[str, Any] = (await client.get(f"/v2/replicas/{made['replica_id']}")).json()
        if found["status"] != "started" or int(found["training_progress"].split("/")[0]) >= least:
            return found
        await asyncio.sleep(0.03)
    raise AssertionError(found)


@pytest.mark.timeout(600)
async def test_the_real_pipeline_is_stopped_resumed_and_finishes(
    puppet: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with training(monkeypatch, 60) as client:
        address = (await client.post("/v2/uploads", content=puppet.read_bytes())).json()["upload_url"]
        made = await place_order(client, train_video_url=address, quality="tiny", callback_url=HOOK)
        assert (await done(client, made, least=25))["status"] == "started"
    from cvi.training.model.checkpoint import peek_checkpoint

    state = peek_checkpoint(home / "training" / "anna-muller")
    assert state is not None and 0 < state.step < 60, "the stop kept what was done"
    async with training(monkeypatch, 60) as client:
        found = await done(client, made)
        assert found["status"] == "completed", found["error_message"]
        assert [hook["status"] for hook in callbacks_of(made)] == ["ready"]
        await until(lambda: leftovers(home) == [])
    from cvi.face.consent import load_consent
    from cvi.face.replica import load_replica_card

    folder = home / "replicas" / "anna-muller"
    card, consent = load_replica_card(folder), load_consent(folder)
    assert (card.name, card.renderer, card.kind) == ("Anna Müller", "neural", "trained")
    # Without a consent of its own the footage's beginning is it, and is kept.
    assert (consent.who, consent.kind) == ("Anna Müller", "film") and "consent.mkv" in card.files


# In the place of the network's training: a loop that ends when it is stopped.
ENDLESS = """
import time
def train(job, prepared, progress, stop):
    progress("train", 1, 2, "")
    while not stop():
        time.sleep(0.01)
    (job.workspace.folder / "stopped").touch()
pipeline._train, pipeline.choose_device = train, lambda wanted, threads: None
main()
"""


def test_the_training_process_stops_when_its_server_is_gone(puppet: Path, home: Path) -> None:
    make_footage_folder("r1")
    film = footage_folder("r1") / "footage.mp4"
    film.write_bytes(puppet.read_bytes())
    order = {
        "folder": str(film.parent),
        "film": str(film),
        "consent": None,
        "script": None,
        "name": "pia",
        "consent_by": "Pia",
        "quality": "tiny",
    }
    endless = SMALL.removesuffix("main()\n") + ENDLESS
    with subprocess.Popen(
        pipeline(1, endless), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        while json.loads(process.stdout.readline())["stage"] != "train":
            pass
        process.stdin.close()
        assert process.wait(120) == 130
    assert not (home / "replicas" / "pia").exists() and (home / "training" / "pia" / "stopped").is_file()


def test_errors_name_no_paths_of_this_machine(home: Path) -> None:
    from cvi.errors import UsageError
    from cvi.server.jobs.training_process import TrainingTask, describe

    task = TrainingTask(
        folder=Path("/data/r1"),
        film=Path("/data/r1/footage.mp4"),
        consent=Path("/data/r1/consent.mp4"),
        script=None,
        name="pia",
        consent_by="",
        quality="tiny",
    )
    assert describe(UsageError("/data/r1/footage.mp4 has no sound.", ""), task) == "The footage has no sound."
    wrong = UsageError("No face is seen in /data/r1/footage.mp4.", "Film one.")
    assert describe(wrong, task) == "No face is seen in the footage. Film one."
    (home / "training" / "pia").mkdir(parents=True)
    fault = {"fatal": True, "said": "Nobody speaks.", "remedy": "Speak."}
    grade = {"verdict": "unusable", "faults": [{**fault, "fatal": False, "said": "Dark."}, fault]}
    (home / "training" / "pia" / "grade.json").write_text(json.dumps(grade))
    assert describe(wrong, task) == "The footage is unusable: Nobody speaks. Speak."


def test_the_opening_of_a_film_is_a_film(puppet: Path, tmp_path: Path) -> None:
    from cvi.server.jobs.training_process import cut_opening
    from cvi.training.footage.reader import open_footage

    cut_opening(puppet, tmp_path / "opening.mkv", 2.0)
    found = open_footage(tmp_path / "opening.mkv")
    assert found.has_sound and found.duration_s == pytest.approx(2.0, abs=0.3)
