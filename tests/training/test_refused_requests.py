"""Training requests that cannot be met are refused before the work, with a sentence; nothing is lost or left."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from films import make_film
from puppet import BlobTracker, Puppet
from typer.testing import CliRunner

pytest.importorskip("torch", reason="training needs torch, which is not installed")
pytest.importorskip("safetensors", reason="training needs safetensors, which is not installed")

from cvi.cli.app import app
from cvi.errors import CviError, UsageError
from cvi.training import pipeline
from cvi.training.footage.preparation import CROPS, prepare_footage
from cvi.training.photo.photo_replica import is_photo
from cvi.training.pipeline import TrainingRequest, train_replica
from cvi.training.workspace import open_workspace

CONSENT = "I, Pia Puppet, agree that a replica of my face is made from this footage."


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "pia.mp4", [n / 25 for n in range(150)], sound_s=6.0)


def never() -> BlobTracker:
    raise AssertionError("nothing should be tracked")


def order(film: Path, **more: object) -> TrainingRequest:
    return TrainingRequest(
        film,
        **{"name": "pia", "consent": CONSENT, "quality": "tiny", "device": "cpu", "anyway": True, **more},
    )


# -- told before the work ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no script"),
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"\xff\xfe\x00bad", "cannot be read"),
        ("你好，世界。".encode(), "No sentence"),
        ("Äpfel wachsen überall.\nSchönes Öl genügt.".encode(), "No sentence"),
        (b"...\n!!\n", "No sentence"),
    ],
    ids=["missing", "empty", "blank", "no text", "chinese", "german", "dots"],
)
def test_a_useless_script_is_refused_before_training(
    film: Path, tmp_path: Path, cvi_home: Path, text: bytes | None, said: str
) -> None:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed")
    script = tmp_path / "script.txt"
    if text is not None:
        script.write_bytes(text)
    with pytest.raises(UsageError, match=said):
        train_replica(order(film, script=script), tracker=never)


def test_holding_out_everything_is_refused_before_tracking(film: Path, cvi_home: Path) -> None:
    with pytest.raises(UsageError, match="--hold-out 20 leaves too little"):
        train_replica(order(film, held_out_s=20.0), tracker=never)


def test_silence_is_refused_before_training(
    tmp_path: Path, cvi_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = Puppet.make(6.0).write(tmp_path / "pia.mp4")
    monkeypatch.setattr(pipeline, "read_audio", lambda path, rate_hz: np.zeros(6 * rate_hz, np.int16))

    def trained(*_: object) -> None:
        raise AssertionError("hours of training, in vain")

    monkeypatch.setattr(pipeline, "_train", trained)
    with pytest.raises(UsageError, match="Hardly any speech"):
        train_replica(order(film), tracker=BlobTracker)


def test_the_command_prints_the_reason_alone(film: Path, cvi_home: Path) -> None:
    words = ["train-replica", str(film), "--name", "pia", "--consent", "yes"]
    found = CliRunner().invoke(app, words)
    assert isinstance(found.exception, UsageError) and found.output == ""
    assert not (cvi_home / "training").exists()
    for seed in ("-1", str(2**40)):
        assert CliRunner().invoke(app, [*words, "--seed", seed]).exit_code == 2


def test_an_unreadable_file_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    (tmp_path / "a.mp4").write_bytes(b"film")
    monkeypatch.setattr(Path, "open", refused)
    assert not is_photo(tmp_path / "a.mp4")


# -- the folder where it is made --------------------------------------------------------------------


def test_the_name_of_a_stock_replica_cannot_be_freed(cvi_home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        open_workspace("june")
    assert "delete" not in caught.value.remedy


def test_partly_written_files_of_a_killed_process_are_removed(cvi_home: Path) -> None:
    workspace = open_workspace("pia")
    with workspace.locked():
        (workspace.folder / ".crops.npy.1234.part").write_bytes(b"half")
        (workspace.folder / "track.npz").write_bytes(b"whole")
    with workspace.locked():
        assert [path.name for path in workspace.folder.iterdir() if path.name != ".lock"] == ["track.npz"]


def test_a_replica_finished_by_another_process_is_not_trained_again(cvi_home: Path) -> None:
    late = open_workspace("pia")
    late.replica_folder.mkdir(parents=True)
    (late.replica_folder / "replica.yaml").touch()
    with pytest.raises(UsageError, match="already"), late.locked():
        raise AssertionError("it is there")


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null"])
def test_a_home_that_cannot_be_written_is_named(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVI_HOME", home)
    workspace = open_workspace("pia")
    with pytest.raises(CviError, match=f"{home}.* cannot be written") as caught, workspace.locked():
        raise AssertionError("nothing can be written")
    assert caught.value.exit_status == 1 and "CVI_HOME" in caught.value.remedy


# -- a full disk ------------------------------------------------------------------------------------


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file of this process may grow beyond 300 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_during_the_work_is_reported(cvi_home: Path, little_room: None) -> None:
    workspace = open_workspace("pia")
    with pytest.raises(CviError, match="cannot be written: File too large") as caught, workspace.locked():
        (workspace.folder / "features.npy").write_bytes(bytes(400_000))
    assert "it goes on" in caught.value.remedy


def test_crops_on_a_full_disk_are_reported_and_removed(tmp_path: Path, little_room: None) -> None:
    puppet = Puppet.make(6.0)
    with pytest.raises(CviError, match="cannot be written") as caught:
        prepare_footage(puppet.frames(), puppet.track(), tmp_path, 96, 0.0)
    assert "MB" in caught.value.remedy and not list(tmp_path.iterdir())


def test_crops_are_written_row_by_row(tmp_path: Path) -> None:
    # A mapped file takes it page by page, and a full disk then ends the process by a signal.
    puppet = Puppet.make(6.0)
    sizes: list[int] = []

    def watched(done: int, of: int) -> None:
        sizes.append(max(path.stat().st_size for path in tmp_path.iterdir()))

    prepare_footage(puppet.frames(), puppet.track(), tmp_path, 96, 0.0, progress=watched)
    assert sizes[0] < sizes[-1] / 2
    crops = np.load(tmp_path / CROPS, mmap_mode="r")
    assert (
        crops.dtype == np.uint8
        and len(crops) == len(puppet)
        and (tmp_path / CROPS).stat().st_size == (crops.nbytes + 128)
    )
