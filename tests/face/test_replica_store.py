"""Replicas carried in and out: what is whole comes through, what is not leaves nothing behind."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from test_replica import home, make

from cvi.errors import CviError, MissingError, UsageError
from cvi.face.replica import (
    delete_replica,
    export_replica,
    find_replica,
    import_replica,
    is_shipped,
    list_replicas,
    load_replica_card,
    rename_replica,
)

__all__ = ["home"]


@pytest.fixture
def zoe(home: Path, tmp_path: Path) -> Path:
    """A zip of a replica that is not here any more."""
    make(home / "replicas" / "zoe")
    export_replica("zoe", tmp_path / "zoe.zip")
    delete_replica("zoe")
    return tmp_path / "zoe.zip"


def test_an_exported_replica_can_be_imported(zoe: Path) -> None:
    assert "zoe" not in list_replicas()
    card = import_replica(zoe)
    assert find_replica("zoe") == card.folder
    assert import_replica(zoe, "zoe-2").files == card.files
    with pytest.raises(UsageError, match="already"):
        import_replica(zoe)


def test_an_import_never_overwrites(zoe: Path) -> None:
    import_replica(zoe)
    before = load_replica_card(find_replica("zoe")).files
    with pytest.raises(UsageError):
        import_replica(zoe, "zoe")
    assert load_replica_card(find_replica("zoe")).files == before


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil", "a/b.npz", "..", "C:\\evil", "a\\..\\b", "x" * 200, ".hidden"]
)
def test_a_path_outside_the_folder_is_refused(home: Path, zoe: Path, name: str) -> None:
    with zipfile.ZipFile(zoe, "a") as archive:
        archive.writestr(name, b"evil")
    with pytest.raises(UsageError, match="no plain file"):
        import_replica(zoe)
    assert not list((home / "replicas").iterdir())


def test_a_link_is_refused(home: Path, zoe: Path) -> None:
    link = zipfile.ZipInfo("link.npz")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(zoe, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UsageError, match="no plain file"):
        import_replica(zoe)


def test_a_changed_file_is_named_and_leaves_nothing(home: Path, zoe: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(zoe) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"other" if name == "atlas.npz" else source.read(name))
    with pytest.raises(UsageError, match=r"atlas\.npz.*sha256"):
        import_replica(changed)
    assert not list((home / "replicas").iterdir())


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_a_file_that_is_not_a_zip(home: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(UsageError, match="not a zip"):
        import_replica(tmp_path / "bad.zip")
    with pytest.raises(UsageError, match="no file"):
        import_replica(tmp_path / "none.zip")


def test_a_zip_without_a_card_and_one_too_large(
    home: Path, zoe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("atlas.npz", b"pixels")
    with pytest.raises(UsageError, match="no replica"):
        import_replica(tmp_path / "empty.zip")
    monkeypatch.setattr("cvi.face.replica.MOST_BYTES", 10)
    with pytest.raises(UsageError, match="would take"):
        import_replica(zoe)


def test_renaming(home: Path) -> None:
    make(home / "replicas" / "zoe")
    folder = rename_replica("zoe", "mia")
    assert load_replica_card(folder).name == "mia" and "zoe" not in list_replicas()
    make(home / "replicas" / "ben")
    with pytest.raises(UsageError, match="already"):
        rename_replica("ben", "mia")
    with pytest.raises(UsageError, match="cannot be called"):
        rename_replica("ben", "../up")


def test_shipped_replicas_cannot_be_changed(home: Path, tmp_path: Path) -> None:
    shipped = find_replica(next(name for name, folder in list_replicas().items() if is_shipped(folder)))
    for change in (lambda: delete_replica(shipped.name), lambda: rename_replica(shipped.name, "mine")):
        with pytest.raises(UsageError, match="your own"):
            change()
    assert shipped.exists()


def test_unknown_names_and_bad_outputs(home: Path, tmp_path: Path) -> None:
    make(home / "replicas" / "zoe")
    with pytest.raises(MissingError, match="'zoe'"):
        delete_replica("zoee")
    with pytest.raises(UsageError, match="zip"):
        export_replica("zoe", tmp_path / "zoe.rar")
    with pytest.raises(CviError, match="Cannot write"):
        export_replica("zoe", tmp_path / "nowhere" / "zoe.zip")
