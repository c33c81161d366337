"""Files are written whole or not at all; one process at a time holds a lock."""

import hashlib
import multiprocessing
import os
from pathlib import Path

import pytest

import cvi
from cvi.errors import CviError, UsageError
from cvi.files import is_file, is_folder, locked, replacing, sha256_of, write_bytes, write_json
from cvi.paths import user_path


def test_a_write_takes_the_name_in_one_step_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "new" / "card.json"
    write_json(target, {"name": "Zoë"})
    write_json(target, {"name": "Ada"})
    assert target.read_text(encoding="utf-8") == '{\n "name": "Ada"\n}\n'
    assert [path.name for path in target.parent.iterdir()] == ["card.json"]


def test_what_raises_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    target = tmp_path / "card"
    write_bytes(target, b"old")
    with pytest.raises(ValueError, match="half"), replacing(target) as part:
        part.write_bytes(b"new")
        raise ValueError("half way")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["card"]


def test_a_folder_in_the_way_is_an_error_with_the_path(tmp_path: Path) -> None:
    (tmp_path / "card" / "inside").mkdir(parents=True)
    with pytest.raises(CviError, match="card cannot be written"):
        write_bytes(tmp_path / "card", b"new")


def test_a_private_file_is_never_readable_by_others(tmp_path: Path) -> None:
    with replacing(tmp_path / "key", mode=0o600) as part:
        assert part.stat().st_mode & 0o777 == 0o600
        part.write_bytes(b"secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_the_hash_of_a_file(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "data").write_bytes(data)
    sizes: list[int] = []
    assert sha256_of(tmp_path / "data", sizes.append) == hashlib.sha256(data).hexdigest()
    assert sum(sizes) == len(data)


def _try_lock(path: Path, answer: "multiprocessing.Queue[str]") -> None:
    try:
        with locked(path, UsageError("busy")):
            answer.put("held")
    except UsageError:
        answer.put("busy")


def test_a_lock_keeps_other_processes_out_until_it_is_given_up(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = spawn.Queue()
    path = tmp_path / "locks" / "one"
    for expected in ("busy", "held"):
        other = spawn.Process(target=_try_lock, args=(path, answers))
        if expected == "busy":
            with locked(path, UsageError("held by the test")):
                other.start()
                assert answers.get(timeout=60) == expected
        else:
            other.start()
            assert answers.get(timeout=60) == expected
        other.join()


@pytest.mark.parametrize("name", ["~nobody-here/x", "a" * 300, "a" * 70_000, "a\0b", "x/" * 3000, "\ud800"])
def test_what_no_file_can_be_called_is_no_file(name: str) -> None:
    assert not is_file(user_path(name)) and not is_folder(user_path(name))


def test_paths_that_somebody_gave_are_expanded_in_one_place() -> None:
    """`Path.expanduser` raises RuntimeError for a user that is not here."""
    package = Path(cvi.__file__).parent
    found = {
        str(file.relative_to(package)) for file in package.rglob("*.py") if ".expanduser(" in file.read_text()
    }
    assert found == {"paths.py", "training/package/consent.py"}
