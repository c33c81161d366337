"""Finding replicas and checking their cards."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from cvi.errors import MissingError, UsageError
from cvi.face.replica import find_replica, list_replicas, load_replica_card


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    return tmp_path


def make(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "atlas.npz").write_bytes(b"pixels")
    card = {
        "name": folder.name,
        "kind": "stock",
        "renderer": "sculpted",
        "source": "modelled",
        "licence": "Apache-2.0",
        "files": {"atlas.npz": hashlib.sha256(b"pixels").hexdigest()},
    } | changes
    (folder / "replica.yaml").write_text(yaml.safe_dump({k: v for k, v in card.items() if v is not None}))
    return folder


def test_own_replicas_are_found_by_name_and_path(home: Path, tmp_path: Path) -> None:
    folder = make(home / "replicas" / "zoe")
    assert find_replica("zoe") == folder
    assert find_replica(folder) == folder
    assert list_replicas()["zoe"] == folder
    assert load_replica_card(folder).licence == "Apache-2.0"


def test_shipped_replicas_are_found(home: Path) -> None:
    assert load_replica_card(find_replica("june")).name == "June"


def test_the_users_own_hides_the_shipped_one(home: Path) -> None:
    assert find_replica("june") != make(home / "replicas" / "june")
    assert find_replica("june") == home / "replicas" / "june"


def test_a_misspelt_name_is_helped(home: Path) -> None:
    make(home / "replicas" / "zoe")
    with pytest.raises(MissingError, match="Did you mean 'zoe'"):
        find_replica("Zoee")


def test_a_folder_without_a_card(home: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"replica\.yaml"):
        find_replica(tmp_path)


@pytest.mark.parametrize("field", ["name", "kind", "renderer", "source", "licence", "files"])
def test_a_card_that_lacks_a_field(home: Path, field: str) -> None:
    with pytest.raises(UsageError, match=field):
        load_replica_card(make(home / "replicas" / "zoe", **{field: None}))


def test_a_card_that_is_not_yaml(home: Path) -> None:
    folder = make(home / "replicas" / "zoe")
    (folder / "replica.yaml").write_text("name: [")
    with pytest.raises(UsageError, match="not YAML"):
        load_replica_card(folder)


def test_a_missing_a_changed_and_a_foreign_file(home: Path) -> None:
    folder = make(home / "replicas" / "zoe")
    (folder / "atlas.npz").write_bytes(b"other")
    with pytest.raises(UsageError, match="sha256"):
        load_replica_card(folder)
    (folder / "atlas.npz").write_bytes(b"pixels")
    assert load_replica_card(folder).files["atlas.npz"] == hashlib.sha256(b"pixels").hexdigest()
    (folder / "atlas.npz").unlink()
    with pytest.raises(MissingError, match=r"atlas\.npz"):
        load_replica_card(folder)
    with pytest.raises(UsageError, match="outside"):
        load_replica_card(make(home / "replicas" / "max", files={"../zoe/replica.yaml": "0"}))
