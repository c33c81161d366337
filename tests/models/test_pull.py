from __future__ import annotations

import fcntl
import json
import shutil
from pathlib import Path

import pytest
from model_hub import CONTENTS, Hub, cut_after, status

from cvi.errors import CviError, MissingError, UsageError
from cvi.models import download
from cvi.models.installed import (
    find_installed,
    list_installed,
    model_path,
    remove_model,
    verify_model,
)
from cvi.models.manifest import Model
from cvi.models.pull import add, missing_bytes, pull

pytestmark = pytest.mark.usefixtures("cvi_home")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0.0)


def test_a_pull_installs_and_records_what_came(small_manifest: tuple[Model, ...], cvi_home: Path) -> None:
    seen: list[tuple[str, str, int]] = []
    cards = pull(small_manifest, lambda model, file, here: seen.append((model.id, file.path, here)))
    assert [card.id for card in cards] == ["tiny-ear", "tiny-mind", "tiny-voice"]
    assert model_path("tiny-ear") == cvi_home / "models" / "tiny-ear"
    assert model_path("tiny-mind").read_bytes() == CONTENTS["tiny-mind"]["mind.gguf"]
    assert ("tiny-ear", "weights.bin", 512_000) in seen
    card = json.loads((cvi_home / "models" / "tiny-voice" / "model.json").read_text())
    assert [file["pinned"] for file in card["files"]] == [False, False]
    assert all(len(file["sha256"]) == 64 for file in card["files"])
    assert all(set(verify_model(card).values()) == {"ok"} for card in cards)
    assert missing_bytes(small_manifest) == 0


def test_a_second_pull_asks_the_hub_for_nothing(hub: Hub, small_manifest: tuple[Model, ...]) -> None:
    pull(small_manifest)
    before = len(hub.requests)
    pull(small_manifest)
    assert len(hub.requests) == before


def test_a_broken_pull_goes_on_later(hub: Hub, small_manifest: tuple[Model, ...]) -> None:
    ear = small_manifest[0]
    hub.faults = [lambda _: False, cut_after(300_000), *[status(500)] * 5]
    with pytest.raises(CviError, match="What has arrived is kept"):
        pull([ear])
    assert find_installed(ear.id) is None
    assert missing_bytes([ear]) == 212_000
    pull([ear])
    assert find_installed(ear.id) is not None
    assert hub.sent_bytes == ear.size


def test_a_wrong_hash_installs_nothing(hub: Hub, small_manifest: tuple[Model, ...], cvi_home: Path) -> None:
    mind = small_manifest[1]
    hub.files[mind.url(mind.files[0], "")] = b"X" * mind.size
    with pytest.raises(CviError, match="SHA-256"):
        pull([mind])
    assert find_installed(mind.id) is None
    assert not (cvi_home / "models" / mind.id).exists()


def test_the_space_is_checked_before_the_hub_is_asked(
    hub: Hub, small_manifest: tuple[Model, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(CviError, match="GB free"):
        pull(small_manifest)
    assert hub.requests == []


def test_a_second_pull_of_the_same_model_is_refused(small_manifest: tuple[Model, ...], cvi_home: Path) -> None:
    (cvi_home / "models").mkdir(parents=True)
    with (cvi_home / "models" / ".tiny-mind.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CviError, match="Another process"):
            pull([small_manifest[1]])


def test_verify_tells_changed_from_missing(small_manifest: tuple[Model, ...]) -> None:
    (card,) = pull([small_manifest[0]])
    (card.folder / "config.json").write_bytes(b"[]")
    (card.folder / "weights.bin").unlink()
    assert verify_model(card) == {"config.json": "changed", "weights.bin": "missing"}
    assert find_installed(card.id) is None
    with pytest.raises(MissingError, match="are gone"):
        model_path(card.id)


def test_remove_leaves_nothing(small_manifest: tuple[Model, ...]) -> None:
    (card,) = pull([small_manifest[0]])
    remove_model(card.id)
    assert not card.folder.exists()
    with pytest.raises(UsageError):
        remove_model(card.id)


@pytest.mark.parametrize("model_id", ["../cvi_home", "/", "..", ""])
def test_remove_takes_only_plain_names(model_id: str, cvi_home: Path) -> None:
    (cvi_home / "models").mkdir(parents=True)
    with pytest.raises(UsageError, match="cannot be a model's id"):
        remove_model(model_id)
    assert cvi_home.is_dir()


def test_a_card_that_is_no_card_is_one_clear_error(cvi_home: Path) -> None:
    (cvi_home / "models" / "odd").mkdir(parents=True)
    (cvi_home / "models" / "odd" / "model.json").write_text("{")
    with pytest.raises(CviError, match="cvi models remove odd"):
        find_installed("odd")
    remove_model("odd")
    assert list_installed() == []


def test_add_copies_a_file_with_its_companion(tmp_path: Path, small_manifest: tuple[Model, ...]) -> None:
    (tmp_path / "amy.onnx").write_bytes(b"voice")
    (tmp_path / "amy.onnx.json").write_bytes(b"{}")
    card = add(tmp_path / "amy.onnx", "amy", "tts")
    assert card.path.name == "amy.onnx"
    assert {file.path for file in card.files} == {"amy.onnx", "amy.onnx.json"}
    (tmp_path / "amy.onnx").unlink()
    assert model_path("amy").read_bytes() == b"voice"


def test_add_link_points_to_the_original(tmp_path: Path, small_manifest: tuple[Model, ...]) -> None:
    original = tmp_path / "mine.gguf"
    original.write_bytes(b"GGUF")
    card = add(original, "mine", "llm", link=True)
    assert card.path.is_symlink() and card.path.read_bytes() == b"GGUF"
    remove_model("mine")
    assert original.read_bytes() == b"GGUF"


def test_add_takes_a_folder_whole(tmp_path: Path, small_manifest: tuple[Model, ...]) -> None:
    folder = tmp_path / "whisper"
    (folder / "deep").mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"1")
    (folder / "deep" / "vocabulary.txt").write_bytes(b"2")
    card = add(folder, "mine", "stt")
    assert (card.path / "deep" / "vocabulary.txt").read_bytes() == b"2"


def test_add_of_a_listed_model_checks_its_hash(
    tmp_path: Path, small_manifest: tuple[Model, ...], cvi_home: Path
) -> None:
    carried = tmp_path / "mind.gguf"
    carried.write_bytes(b"something else")
    with pytest.raises(CviError, match="not the file the manifest means"):
        add(carried, "tiny-mind")
    assert not (cvi_home / "models" / "tiny-mind").exists()
    carried.write_bytes(CONTENTS["tiny-mind"]["mind.gguf"])
    assert add(carried, "tiny-mind").files[0].pinned
    assert find_installed("tiny-mind") is not None


def test_add_of_a_listed_model_wants_all_its_files(tmp_path: Path, small_manifest: tuple[Model, ...]) -> None:
    (tmp_path / "weights.bin").write_bytes(CONTENTS["tiny-ear"]["weights.bin"])
    with pytest.raises(MissingError, match=r"lacks config\.json"):
        add(tmp_path, "tiny-ear")


def test_bad_requests_to_add(tmp_path: Path, small_manifest: tuple[Model, ...]) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(UsageError, match="no file or folder"):
        add(tmp_path / "nothing", "mine", "llm")
    with pytest.raises(UsageError, match="--purpose"):
        add(file, "mine")
    with pytest.raises(UsageError, match="for llm, not for tts"):
        add(file, "tiny-mind", "tts")
    with pytest.raises(UsageError, match="cannot be a model's id"):
        add(file, "../mine", "llm")
    add(file, "mine", "llm")
    with pytest.raises(UsageError, match="installed already"):
        add(file, "mine", "llm")
