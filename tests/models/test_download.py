from __future__ import annotations

import errno
import hashlib
import io
import os
from pathlib import Path

import httpx
import pytest
from model_hub import Hub, cut_after, status

from cvi.errors import CviError
from cvi.models.download import Download, check_space, fetch, open_client

BODY = os.urandom(3_000_000)
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def wanted(hub: Hub, tmp_path: Path) -> Download:
    hub.files["/file"] = BODY
    return Download(f"{hub.address}/file", tmp_path / "models" / "file.bin", len(BODY), SHA)


def get(wanted: Download, **more: object) -> str:
    with open_client() as client:
        return fetch(client, wanted, sleep=lambda _: None, **more)  # type: ignore[arg-type]


def left(wanted: Download) -> set[str]:
    return {path.name for path in wanted.target.parent.iterdir()} if wanted.target.parent.is_dir() else set()


def test_brings_the_file_and_leaves_nothing_else(wanted: Download) -> None:
    seen: list[int] = []
    assert get(wanted, progress=seen.append) == SHA
    assert wanted.target.read_bytes() == BODY
    assert left(wanted) == {"file.bin"}
    assert seen[0] == 0 and seen[-1] == len(BODY) and seen == sorted(seen)


def test_a_cut_connection_is_continued_where_it_ended(hub: Hub, wanted: Download) -> None:
    hub.faults = [cut_after(1_200_000)]
    get(wanted)
    assert wanted.target.read_bytes() == BODY
    assert hub.sent_bytes == len(BODY)
    assert hub.requests[1][1] is not None


def test_an_interrupt_keeps_the_part_and_the_next_run_continues_it(hub: Hub, wanted: Download) -> None:
    def interrupt(here: int) -> None:
        if here > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(wanted, progress=interrupt)
    kept = wanted.part.stat().st_size
    assert 0 < kept < len(BODY)
    assert not wanted.target.exists()
    seen: list[int] = []
    get(wanted, progress=seen.append)
    assert wanted.target.read_bytes() == BODY
    assert hub.requests[-1][1] == f"bytes={kept}-"
    assert seen[0] == kept


def test_a_file_that_changed_meanwhile_is_fetched_whole(hub: Hub, wanted: Download) -> None:
    hub.files["/file"] = b"x" * len(BODY)
    hub.faults = [cut_after(1_200_000), *[status(503)] * 5]
    with pytest.raises(CviError, match="failed 5 times"):
        get(wanted)
    hub.files["/file"] = BODY
    hub.faults = []
    get(wanted)
    assert wanted.target.read_bytes() == BODY


def test_a_damaged_part_is_downloaded_again_once(hub: Hub, wanted: Download) -> None:
    hub.etags = False
    wanted.part.parent.mkdir(parents=True)
    wanted.part.write_bytes(b"spoilt" * 1000)
    get(wanted)
    assert wanted.target.read_bytes() == BODY
    assert [asked for _, asked in hub.requests] == ["bytes=6000-", None]


def test_without_tag_and_hash_nothing_is_continued(hub: Hub, wanted: Download) -> None:
    hub.etags = False
    wanted.part.parent.mkdir(parents=True)
    wanted.part.write_bytes(b"from another file")
    unknown = Download(wanted.url, wanted.target)
    assert get(unknown) == SHA
    assert [asked for _, asked in hub.requests] == [None]


def test_a_server_without_ranges_sends_the_whole_file(hub: Hub, wanted: Download) -> None:
    hub.ranges = False
    hub.faults = [cut_after(1_200_000)]
    get(wanted)
    assert wanted.target.read_bytes() == BODY
    assert hub.sent_bytes == len(BODY) + 1_200_000


def test_a_part_longer_than_the_file_is_thrown_away(wanted: Download) -> None:
    wanted.part.parent.mkdir(parents=True)
    wanted.part.write_bytes(b"y" * (len(BODY) + 1))
    get(wanted)
    assert wanted.target.read_bytes() == BODY


def test_a_finished_part_is_only_checked(hub: Hub, wanted: Download) -> None:
    wanted.part.parent.mkdir(parents=True)
    wanted.part.write_bytes(BODY)
    get(wanted)
    assert wanted.target.read_bytes() == BODY
    assert hub.requests == []


@pytest.mark.parametrize("body", [b"z" * len(BODY), BODY + b"more", BODY[:-1]])
def test_another_file_leaves_nothing(hub: Hub, wanted: Download, body: bytes) -> None:
    hub.files["/file"] = body
    with pytest.raises(CviError, match="is not the file it should be") as failure:
        get(wanted)
    assert failure.value.exit_status == 1
    assert left(wanted) == set()


def test_not_found_fails_at_once(hub: Hub, wanted: Download) -> None:
    with pytest.raises(CviError, match="404"):
        get(Download(f"{hub.address}/nothing", wanted.target, 5, SHA))
    assert len(hub.requests) == 1
    assert left(wanted) == set()


def test_a_failing_server_is_asked_again_with_longer_pauses(hub: Hub, wanted: Download) -> None:
    hub.faults = [status(500), status(429, Retry_After="7"), status(503)]
    pauses: list[float] = []
    with open_client() as client:
        fetch(client, wanted, sleep=pauses.append)
    assert wanted.target.read_bytes() == BODY
    assert pauses == [1.0, 7.0, 4.0]


def test_the_download_gives_up_after_several_failures(hub: Hub, wanted: Download) -> None:
    hub.faults = [status(500)] * 20
    with pytest.raises(CviError, match="failed 5 times: the server answers 500"):
        get(wanted)
    assert len(hub.requests) == 5


def test_no_network_is_one_clear_error(wanted: Download) -> None:
    closed = Download("http://user:secret@127.0.0.1:9/file", wanted.target, 5, SHA)
    with pytest.raises(CviError, match=r"127\.0\.0\.1 cannot be reached") as failure:
        get(closed)
    assert "HF_ENDPOINT" in failure.value.remedy
    assert "secret" not in str(failure.value)


def test_a_stalled_server_is_a_failed_attempt(wanted: Download) -> None:
    calls = 0

    def stall(request: httpx.Request) -> httpx.Response:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise httpx.ReadTimeout("nothing came", request=request)
        return httpx.Response(200, content=BODY)

    with httpx.Client(transport=httpx.MockTransport(stall)) as client:
        assert fetch(client, wanted, sleep=lambda _: None) == SHA


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing(wanted: Download, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real_open = Path.open

    class SmallDisk(io.FileIO):
        def write(self, data: object) -> int:
            if self.tell() + len(data) > 1_000_000:  # type: ignore[arg-type]
                raise OSError(code, os.strerror(code))
            return super().write(data)  # type: ignore[arg-type]

    def open_small(path: Path, mode: str = "r", *args: object, **more: object) -> object:
        if path == wanted.part and "r" not in mode:
            return SmallDisk(str(path), mode.replace("b", ""))
        return real_open(path, mode, *args, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_small)
    with pytest.raises(CviError, match="disk is full"):
        get(wanted)
    assert left(wanted) == set()


def test_a_folder_that_cannot_be_made_is_one_clear_error(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CviError, match="cannot be written"):
        get(Download(f"{hub.address}/file", tmp_path / "file" / "model.bin", 5, SHA))


def test_space_is_checked_before_the_first_byte(tmp_path: Path) -> None:
    check_space(tmp_path / "not" / "yet", 1)
    with pytest.raises(CviError, match="GB free"):
        check_space(tmp_path / "not" / "yet", 1 << 60)
    assert not (tmp_path / "not").exists()


def test_the_proxy_of_the_environment_is_used(
    hub: Hub, wanted: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy is asked for the whole address, so the hub sees it as the path.
    hub.files["http://models.invalid/file"] = BODY
    monkeypatch.setenv("HTTP_PROXY", hub.address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert get(Download("http://models.invalid/file", wanted.target, len(BODY), SHA)) == SHA


def test_an_unusable_proxy_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://x")
    with pytest.raises(CviError, match="proxy settings"):
        open_client()




def test_the_token_is_sent_to_the_hub_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", " hf_secret\n")
    with open_client() as client:
        assert client.headers["Authorization"] == "Bearer hf_secret"
    monkeypatch.delenv("HF_TOKEN")
    with open_client() as client:
        assert "Authorization" not in client.headers
