"""What is erased is gone from every byte under the data folder; what is kept is for its owner alone."""

from __future__ import annotations

import asyncio
import json
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import create, serving, until

from cvi.errors import CviError
from cvi.paths import replicas_dir, shared_dir
from cvi.server.jobs.document_job import DocumentJob
from cvi.server.jobs.queue import JobRun
from cvi.server.jobs.webhook_delivery import queue_webhook
from cvi.server.retention import erase_old_recordings
from cvi.server.store import jobs
from cvi.server.store.database import connect, database_path, transact

NOWHERE = "http://127.0.0.1:1/closed"


def found_in(folder: Path, *texts: str) -> list[str]:
    """Which files under a folder hold one of the texts, the database and its log among them."""
    needles = [text.encode() for text in texts]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "cvi.sqlite3-wal" for path in files), "the server runs"
    return [str(path) for path in files if any(needle in path.read_bytes() for needle in needles)]


async def test_a_conversation_that_is_erased_leaves_no_byte(home: Path) -> None:
    async with serving(urls_to=("127.0.0.1",)) as client:
        secret = {
            "conversational_context": "SECRET-CONTEXT",
            "conversation_name": "SECRET-NAME",
            "custom_greeting": "SECRET-GREETING",
        }
        made = await create(client, callback_url=NOWHERE, properties={"enable_recording": True}, **secret)
        id = made["conversation_id"]
        await client.post(
            f"/v2/conversations/{id}/interactions",
            json={"event_type": "conversation.respond", "properties": {"text": "SECRET-WORDS"}},
        )
        await client.post(f"/v2/conversations/{id}/end")
        texts = ("SECRET-CONTEXT", "SECRET-NAME", "SECRET-GREETING", "SECRET-WORDS", "Hi there.")
        assert len(found_in(home, *texts)) > 1
        await client.delete(f"/v2/conversations/{id}")
        assert (await client.get(f"/v2/conversations/{id}")).status_code == 400
        assert found_in(home, *texts), "deleted, and kept"
        assert (await client.delete(f"/v2/conversations/{id}", params={"hard": True})).status_code == 204
        assert found_in(home, *texts) == []
        assert not (home / "conversations" / id).exists()
        connection = connect(database_path())
        assert connection.execute("SELECT count(*) FROM jobs").fetchone()[0] == 0, "its webhooks waited"


async def test_resources_and_films_that_are_deleted_leave_no_byte(home: Path) -> None:
    async with serving(urls_to=("127.0.0.1",)) as client:
        tool = await client.post("/v2/tools", json={"name": "a_tool", "description": "SECRET-TOOL"})
        persona = await client.post(
            "/v2/personas", json={"persona_name": "Ada", "system_prompt": "SECRET-PROMPT"}
        )
        connection = connect(database_path())
        payload = {"replica_id": "r", "replica": "june", "script": "SECRET-SCRIPT"}
        transact(connection, lambda there: jobs.add(there, "film", "v1", payload, time.time() + 9e9))
        transact(connection, lambda there: there.execute("UPDATE jobs SET state = 'failed', finished_at = 1"))
        transact(
            connection,
            lambda there: queue_webhook(there, "v1", NOWHERE, "video", {"data": "SECRET-SCRIPT"}, 0.0),
        )
        connection.close()
        texts = ("SECRET-TOOL", "SECRET-PROMPT", "SECRET-SCRIPT")
        assert found_in(home, *texts)
        assert (await client.delete(f"/v2/tools/{tool.json()['tool_id']}")).status_code == 204
        assert (await client.delete(f"/v2/personas/{persona.json()['persona_id']}")).status_code == 204
        assert (await client.delete("/v2/videos/v1")).status_code == 200
        assert found_in(home, *texts) == []


async def test_a_document_that_could_not_be_read_leaves_no_byte(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: DocumentJob, run: JobRun) -> str:
        raise CviError("document_processing_failed|SECRET-REASON", "")

    monkeypatch.setattr(DocumentJob, "at_once", 1)
    monkeypatch.setattr(DocumentJob, "run", fails)
    async with serving(urls_to=("127.0.0.1",)) as client:
        body = {"document_url": f"{NOWHERE}/SECRET-ADDRESS.pdf", "callback_url": NOWHERE, "tags": ["SECRET-TAG"]}
        id = (await client.post("/v2/documents", json=body)).json()["document_id"]
        async with asyncio.timeout(60):
            while (await client.get(f"/v2/documents/{id}")).json()["status"] != "error":
                await asyncio.sleep(0.01)
        (home / "documents").mkdir()
        (home / "documents" / f"{id}.log").write_text("Traceback: SECRET-LOG")
        texts = ("SECRET-ADDRESS", "SECRET-TAG", "SECRET-REASON", "SECRET-LOG")
        assert len(found_in(home, *texts)) > 1
        assert (await client.delete(f"/v2/documents/{id}")).status_code == 204
        assert found_in(home, *texts) == []


async def test_a_replica_that_is_erased_leaves_no_portrait(home: Path) -> None:
    shutil.copytree(shared_dir("replicas") / "june", replicas_dir() / "mine")
    async with serving() as client:
        replica = (await client.get("/v2/replicas/mine")).json()
        pictures = home / "thumbnails"
        pictures.mkdir()
        (pictures / "mine-0123.jpg").write_bytes(b"PORTRAIT")
        (pictures / "mine2-0123.jpg").write_bytes(b"another")
        assert (await client.delete(f"/v2/replicas/{replica['replica_id']}")).status_code == 200
        assert [path.name for path in pictures.iterdir()] == ["mine2-0123.jpg"]
        assert (replicas_dir() / ".deleted" / "mine").is_dir()
        assert (
            await client.delete(f"/v2/replicas/{replica['replica_id']}", params={"hard": True})
        ).status_code == 200
        assert not (replicas_dir() / ".deleted" / "mine").exists()


async def test_recordings_are_kept_as_long_as_the_persona_says(home: Path) -> None:
    async with serving() as client:
        persona = {
            "persona_name": "Ada",
            "system_prompt": "x",
            "recording": {"enabled": True, "keep_days": 3},
        }
        made = (await client.post("/v2/personas", json=persona)).json()
        assert "recording.keep_days" not in json.dumps(made["not_in_effect"])
        talk = (await client.post("/v2/conversations", json={"persona_id": made["persona_id"]})).json()
        await client.post(f"/v2/conversations/{talk['conversation_id']}/end")
        path = home / "conversations" / talk["conversation_id"] / "recording.mp4"
        assert path.is_file()
        database = client.app.state.services.database  # type: ignore[attr-defined]
        now = time.time()
        assert await erase_old_recordings(database, now + 2.9 * 86400) == 0 and path.is_file()
        assert await erase_old_recordings(database, now + 3.1 * 86400) == 1 and not path.exists()
        assert await erase_old_recordings(database, now + 9 * 86400) == 0
        assert (path.parent / "journal.jsonl").is_file(), "only the recording"


async def test_a_recording_in_a_bucket_is_erased_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cvi.server.jobs.buckets import Bucket
    from cvi.server.jobs.recording_erasure import RecordingErasure

    erased: list[tuple[str, str]] = []

    def erase(bucket: Bucket, key: str) -> None:
        erased.append((bucket.name, key))

    monkeypatch.setattr(RecordingErasure.__init__, "__kwdefaults__", {"erase": erase})
    async with serving(recording_buckets=("*",)) as client:
        storage = {"provider": "s3", "bucket_name": "my-bucket"}
        body = {"persona_id": "guide", "test_mode": True, "properties": {"recording_storage": storage}}
        id = (await client.post("/v2/conversations", json=body)).json()["conversation_id"]
        assert (await client.delete(f"/v2/conversations/{id}", params={"hard": True})).status_code == 204
        await until(lambda: erased)
    assert erased == [("my-bucket", f"{id}/recording.mp4")]


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def assert_private(folder: Path) -> None:
    open_to_others = {name: oct(mode) for name, mode in modes(folder).items() if mode & 0o077}
    assert not open_to_others and modes(folder)


async def test_what_a_server_writes_is_for_its_owner_alone(home: Path) -> None:
    home.chmod(0o700)
    async with serving() as client:
        made = await create(client)
        await client.post(f"/v2/conversations/{made['conversation_id']}/end")
        names = modes(home)
        assert any(name.endswith("worker.log") for name in names)
        wrong = {
            n: oct(m)
            for n, m in names.items()
            if m & 0o077 and not n.endswith(("spec.json", "journal.jsonl"))
        }
        assert not wrong, "but what the stand-in for a worker writes itself"


def test_what_commands_write_is_for_its_owner_alone(home: Path) -> None:
    lines = "persona new Mine --from guide|keys create site|replica new mine --seed 1 --yes|webhooks secret"
    for words in (line.split() for line in lines.split("|")):
        run = [sys.executable, "-c", "from cvi.cli.app import main; main()", *words]
        subprocess.run(run, capture_output=True, text=True, timeout=300)
    assert "cvi.sqlite3" in modes(home) and "personas/mine.yaml" in modes(home)
    assert_private(home)


async def test_a_journal_is_for_its_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    from cvi.clock import Clock
    from cvi.conversation.journal import Journal
    from cvi.files import make_private

    (old := tmp_path / "conversations").mkdir()
    (old / "recording.mp4").write_bytes(b"x")
    old.chmod(0o755)
    (old / "recording.mp4").chmod(0o644)
    make_private(old)
    Journal(tmp_path / "conversations" / "c1" / "journal.jsonl", Clock()).close()
    assert_private(tmp_path)
