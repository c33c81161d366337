"""Files written whole or not at all, hashes of files, and locks between processes.

Every write that somebody may read later goes through `replacing`: bytes go to a hidden `.NAME.PID.part`
beside the target, are flushed to disk, and take the target's name in one step.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cvi.errors import CviError
from cvi.paths import home

_BLOCK_BYTES = 1 << 20


@contextmanager
def replacing(
    path: Path, *, mode: int | None = None, durable: bool = True, remedy: str = ""
) -> Iterator[Path]:
    """Give a path to write to; at the end of the block it becomes `path` in one step.

    When the block raises, `path` is as it was and nothing is left. `mode` are the permission bits of the
    file (default: its owner's alone in the data folder, elsewhere the umask's). `durable` waits until the
    bytes are on the disk. An OSError, from the block too, becomes a CviError that names `path`; `remedy` says
    what to do about it.
    """
    part = part_path(path)
    try:
        private_folder(path.parent)
        if mode is None and path.absolute().is_relative_to(home()):
            mode = 0o600
        if mode is not None:
            os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode))
        yield part
        if durable:
            _flush(part)
        part.replace(path)
    except OSError as error:
        raise CviError(
            f"{path} cannot be written: {error.strerror or error}.",
            remedy or "Give a folder with room to write in.",
        ) from error
    finally:
        with suppress(OSError):
            part.unlink()


def private(path: str, flags: int) -> int:
    """An `opener` for `open`: a file that is made is for its owner alone."""
    return os.open(path, flags, 0o600)


def private_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing, for their owner alone; one that is there stays."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def make_private(folder: Path) -> None:
    """Take from others the right to read what lies in a folder of an earlier version. Blocks on the disk."""
    if not folder.is_dir() or not folder.stat().st_mode & 0o077:
        return
    for path in folder.rglob("*"):
        if not path.is_symlink():
            with suppress(OSError):
                path.chmod(path.stat().st_mode & 0o700)
    folder.chmod(folder.stat().st_mode & 0o700)


def part_path(path: Path) -> Path:
    """Where a file lies while it is being written: hidden, beside the target, one a process."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def write_bytes(path: Path, data: bytes, *, mode: int | None = None, durable: bool = True) -> None:
    """Write `data` to `path`, whole or not at all. Raises CviError where the disk does not allow it."""
    with replacing(path, mode=mode, durable=durable) as part:
        part.write_bytes(data)


def write_text(path: Path, text: str, *, mode: int | None = None, durable: bool = True) -> None:
    """Write `text` as UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode(), mode=mode, durable=durable)


def write_json(path: Path, value: object, *, mode: int | None = None) -> None:
    """Write `value` as indented JSON with a final newline, as `write_bytes` does."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n", mode=mode)


def is_file(path: Path) -> bool:
    """Whether there is such a file; False too for what no file can be called (too long, a zero byte)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; False too for what no folder can be called."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def sha256_of(path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits. `on_bytes` hears the size of each block read."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            on_bytes(len(block))
    return digest.hexdigest()


@contextmanager
def locked(path: Path, busy: CviError | None = None) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs.

    Where another process holds it: raises `busy` at once, or waits if that is None. The file stays. Raises
    OSError where the file cannot be made.
    """
    private_folder(path.parent)
    with open(path, "w", opener=private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            assert busy is not None
            raise busy from None
        yield


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
