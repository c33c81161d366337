"""Recordings uploaded to buckets, against a local server that speaks S3's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from running import create, serving, until

from cvi.server.contract import HttpProblem
from cvi.server.jobs.buckets import Bucket, StorageError, bucket_asked_for, upload
from cvi.server.jobs.queue import RetryPolicy
from cvi.server.jobs.recording_upload import KIND, RecordingUpload
from cvi.server.store import jobs

STORED = {"recording_storage": {"provider": "s3", "bucket_name": "films", "bucket_region": "eu-west-1"}}
ROLE = "arn:aws:iam::123456789012:role/films"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A client of a bucket of its own."""
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install cvi-local[s3]")
    moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install cvi-local[dev]")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3")
    client.create_bucket(Bucket="films")
    yield client
    server.stop()


async def events(client: httpx.AsyncClient, made: dict) -> list[dict]:
    return (await client.get(f"/v2/conversations/{made['conversation_id']}?verbose=true")).json()["events"]


async def recording_event(client: httpx.AsyncClient, made: dict) -> dict:
    """The properties of the recording's event, once it is sent."""
    for _ in range(12_000):
        last = (await events(client, made))[-1]
        if last["event_type"] == "application.recording_ready":
            return last["properties"]
        await asyncio.sleep(0.01)
    raise AssertionError("no event of the recording")


async def recorded(client: httpx.AsyncClient) -> dict:
    made = await create(client, properties={"enable_recording": True, **STORED})
    await until(lambda: client.app.state.services.rooms.get(made["conversation_id"]).state == "ready")
    await client.post(f"/v2/conversations/{made['conversation_id']}/end")
    return made


async def test_a_recording_is_in_the_bucket_before_its_event_is_sent(s3, home: Path) -> None:
    async with serving(recording_buckets=("films",)) as client:
        made = await recorded(client)
        event = await recording_event(client, made)
        key = f"{made['conversation_id']}/recording.mp4"
        assert (event["bucket_name"], event["s3_key"], event["duration"]) == ("films", key, 2)
        assert "download_url" not in event
        kept = s3.get_object(Bucket="films", Key=key)
        assert kept["Body"].read() == b"film" and kept["ContentType"] == "video/mp4"
        path = f"/v2/conversations/{made['conversation_id']}/recording"
        while (await client.get(path)).status_code != 404:  # until it is not here any more
            await asyncio.sleep(0.01)


def test_a_role_is_assumed(s3, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    upload(film, Bucket("films", "us-east-1", ROLE, "external"), "a/recording.mp4")
    assert s3.get_object(Bucket="films", Key="a/recording.mp4")["Body"].read() == b"film"
    with pytest.raises(StorageError, match="nowhere"):
        upload(film, Bucket("nowhere-at-all", "us-east-1"), "a/recording.mp4")


class FakeBucket:
    """In the place of an upload to S3; it fails while `down`."""

    def __init__(self) -> None:
        self.down = True
        self.taken: list[tuple[bytes, str]] = []
        self.tried = 0

    def __call__(self, path: Path, bucket: Bucket, key: str) -> None:
        self.tried += 1
        if self.down:
            raise StorageError("The bucket is closed.")
        self.taken.append((path.read_bytes(), key))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeBucket:
    pytest.importorskip("boto3", reason="boto3 is not installed: pip install cvi-local[s3]")
    found = FakeBucket()
    monkeypatch.setattr(RecordingUpload, "retry", RetryPolicy(first_pause_s=0.01))
    defaults = {**RecordingUpload.__init__.__kwdefaults__, "upload": found}
    monkeypatch.setattr(RecordingUpload.__init__, "__kwdefaults__", defaults)
    return found


async def test_a_failed_upload_is_retried_also_after_a_restart(bucket: FakeBucket, home: Path) -> None:
    async with serving(recording_buckets=("*",)) as client:
        made = await recorded(client)
        await until(lambda: bucket.tried >= 3)
        assert [event["event_type"] for event in await events(client, made)][
            -1
        ] == "application.transcription_ready"
    bucket.down = False
    async with serving(recording_buckets=("*",)) as client:
        event = await recording_event(client, made)
    assert event["bucket_name"] == "films" and bucket.taken == [
        (b"film", f"{made['conversation_id']}/recording.mp4")
    ]


async def test_after_a_day_the_recording_stays_on_the_server_and_the_event_says_so(
    bucket: FakeBucket, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cvi.server.jobs.recording_upload.KEEP_TRYING_S", 0.0)
    async with serving(recording_buckets=("*",)) as client:
        made = await recorded(client)
        event = await recording_event(client, made)
        assert event["bucket_name"] == "" and event["storage_error"] == "The bucket is closed."
        assert (await client.get(event["download_url"])).content == b"film"


async def test_the_recording_of_a_deleted_conversation_is_not_uploaded(
    bucket: FakeBucket, home: Path
) -> None:
    async with serving(recording_buckets=("*",)) as client:
        made = await recorded(client)
        await until(lambda: bucket.tried)
        await client.delete(f"/v2/conversations/{made['conversation_id']}?hard=true")
        bucket.down = False
        waiting = await client.app.state.services.database.read(jobs.first_open)
        assert [job for job in waiting if job.kind == KIND] == [] == bucket.taken


@pytest.mark.parametrize(
    ("storage", "status", "words"),
    [
        ({"provider": "gcs", "bucket_name": "films"}, 501, "gcs"),
        ({"provider": "ftp", "bucket_name": "films"}, 400, "provider"),
        ({"bucket_name": "films"}, 400, "provider"),
        ({"provider": "s3"}, 400, "bucket_name"),
        ({"provider": "s3", "bucket_name": "../films"}, 400, "bucket_name"),
        ({"provider": "s3", "bucket_name": ["films"]}, 400, "bucket_name"),
        ({"provider": "s3", "bucket_name": "others"}, 400, "others"),
        ({"provider": "s3", "bucket_name": "films", "assume_role_arn": "me"}, 400, "assume_role_arn"),
    ],
)
def test_invalid_storage_is_refused(storage: dict, status: int, words: str) -> None:
    with pytest.raises(HttpProblem, match=words) as refused:
        bucket_asked_for({"recording_storage": storage}, ("films",))
    assert refused.value.status == status


def test_old_and_new_fields_name_the_same_bucket() -> None:
    pytest.importorskip("boto3", reason="boto3 is not installed: pip install cvi-local[s3]")
    assert bucket_asked_for({}, ()) is None
    new = {"recording_storage": {"provider": "s3", "bucket_name": "films", "assume_role_arn": ROLE}}
    old = {"recording_s3_bucket_name": "films", "aws_assume_role_arn": ROLE}
    assert bucket_asked_for(new, ("films",)) == bucket_asked_for(old, ("*",)) == Bucket("films", "", ROLE)


async def test_without_allowed_buckets_storage_is_answered_501(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v2/conversations", json={"replica_id": "june", "properties": STORED})
    assert answer.status_code == 501 and "--recording-bucket films" in answer.json()["message"]
