"""No face of a person is drawn, exported, imported or spoken with without the consent it was made with."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import yaml

from cvi.errors import UsageError
from cvi.face.consent import CARD
from cvi.face.replica import export_replica, import_replica, load_replica_card
from cvi.files import sha256_of
from cvi.server.catalog import thumbnails
from cvi.training.package.consent import EXAMPLE, give_consent, save_consent

FOOTAGE = "ab" * 32


def card_of(folder: Path, files: list[str], renderer: str = "photo", footage: str = FOOTAGE) -> None:
    card = {
        "name": "Anna", "kind": "photo", "renderer": renderer, "source": "s", "licence": "l",
        "training": {"footage": {"sha256": footage}},
        "files": {name: sha256_of(folder / name) for name in files},
    }  # fmt: skip
    (folder / "replica.yaml").write_text(yaml.safe_dump(card))


@pytest.fixture
def replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    folder = tmp_path / "replicas" / "anna"
    folder.mkdir(parents=True)
    (folder / "photo.png").write_bytes(b"picture")
    save_consent(give_consent(EXAMPLE, FOOTAGE), folder)
    card_of(folder, ["photo.png", CARD])
    return folder


def without(folder: Path) -> None:
    (folder / CARD).unlink()
    card_of(folder, ["photo.png"])


def unlisted(folder: Path) -> None:
    card_of(folder, ["photo.png"])


def altered(folder: Path) -> None:
    consent = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**consent, "purpose": "advertisements"}))
    card_of(folder, ["photo.png", CARD])


def another(folder: Path) -> None:
    card_of(folder, ["photo.png", CARD], footage="cd" * 32)


def nonsense(folder: Path) -> None:
    (folder / CARD).write_text("[1]")
    card_of(folder, ["photo.png", CARD])


@pytest.mark.parametrize("damage", [without, unlisted, altered, another, nonsense])
@pytest.mark.parametrize("renderer", ["photo", "neural", "of-another-package"])
def test_a_replica_without_its_consent_is_not_used_for_anything(replica: Path, damage: object, renderer: str) -> None:
    assert callable(damage)
    assert load_replica_card(replica).name == "Anna"
    damage(replica)
    card = yaml.safe_load((replica / "replica.yaml").read_text())
    (replica / "replica.yaml").write_text(yaml.safe_dump({**card, "renderer": renderer, "kind": "stock"}))
    archive = replica.parent / "anna.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for path in replica.iterdir():
            made.write(path, path.name)
    for use in (
        lambda: load_replica_card(replica),
        lambda: export_replica("anna", replica.parent / "out.zip"),
        lambda: import_replica(archive, "imported"),
        lambda: thumbnails.draw(replica),
    ):
        with pytest.raises(UsageError):
            use()
    assert not (replica.parent / "out.zip").exists() and not (replica.parent / "imported").exists()


def test_one_with_its_consent_is_exported_and_imported(replica: Path) -> None:
    export_replica("anna", replica.parent / "out.zip")
    assert import_replica(replica.parent / "out.zip", "again").name == "Anna"
