"""Generated characters: from a seed to a replica that is found, with the long bake replaced by a short one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvi.characters.generated import generate_character
from cvi.errors import CviError, MissingError, UsageError
from cvi.face.replica import find_replica, list_replicas, load_replica_card

pytest.importorskip("numba", reason="baking needs numba")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    return tmp_path / "replicas"


@pytest.fixture
def bakes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Exit statuses of the bakes to come; 0 leaves an atlas."""
    statuses = [0]

    def run(command: list[str], **given: Any) -> subprocess.CompletedProcess[bytes]:
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        if status == 0:
            (Path(command[3]) / "atlas.npz").write_bytes(b"pixels")
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr("cvi.characters.generated.subprocess.run", run)
    return statuses


def test_a_generated_character_is_found_with_good_hashes(bakes: list[int]) -> None:
    folder = generate_character("tess", 7, None, 1)
    card = load_replica_card(find_replica("tess"))
    assert card.folder == folder and card.name == "Tess" and set(card.files) == {"atlas.npz", "character.yaml"}
    assert "7" in card.description


def test_seeds_make_different_people_and_the_same_seed_the_same(bakes: list[int]) -> None:
    people = [
        yaml.safe_load((generate_character(name, seed, None, 1) / "character.yaml").read_text(encoding="utf-8"))
        for name, seed in (("ann", 1), ("ben", 2), ("cid", 1))
    ]
    assert people[0] == people[2] != people[1]


def test_the_varied_character_is_named_in_the_description(bakes: list[int]) -> None:
    folder = generate_character("jane", 3, "june", 1)
    assert "june" in load_replica_card(folder).description
    with pytest.raises(MissingError, match="junne"):
        generate_character("jack", 3, "junne", 1)
    assert "jack" not in list_replicas()


def test_an_interrupted_bake_is_not_a_replica_and_resumes(bakes: list[int], home: Path) -> None:
    bakes[:] = [130, 0]
    with pytest.raises(CviError, match="not finished"):
        generate_character("tess", 7, None, 1)
    assert "tess" not in list_replicas()
    with pytest.raises(UsageError, match="already"):
        generate_character("tess", 8, None, 1)
    assert generate_character("tess", 7, None, 1) == home / "tess"
    with pytest.raises(UsageError, match="already"):
        generate_character("tess", 7, None, 1)


@pytest.mark.parametrize("name", ["", "Tess", "../tess", "a" * 80, "two words"])
def test_invalid_names_are_refused(bakes: list[int], name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        generate_character(name, 7, None, 1)
