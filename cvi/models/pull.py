"""Installs models: downloaded from the hub, or from files on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
from cvi.paths import models_dir

# Called with the model, the file, and how many bytes of the file are on the disk.
Progress = Callable[[Model, ModelFile, int], None]


def pull(models: Iterable[Model], progress: Progress = lambda *_: None) -> list[Installed]:
    """Download what is missing of each model; installed ones are left as they are.

    Files are downloaded one after another; a model counts as installed once all its files have the right
    hash. Raises CviError. After an interrupt the next pull continues.
    """
    hub = hub_address()
    wanted = [(model, find_installed(model.id)) for model in models]
    # The space for all is checked before the first byte, so that a long pull does not fail at its end.
    check_space(models_dir(), sum(_bytes_to_come(model) for model, here in wanted if here is None))
    with open_client() as client:
        return [here or _pull_one(client, hub, model, progress) for model, here in wanted]


def missing_bytes(models: Iterable[Model]) -> int:
    """How many bytes a pull of these models would download now."""
    return sum(_bytes_to_come(model) for model in models if find_installed(model.id) is None)


def _pull_one(client: httpx.Client, hub: str, model: Model, progress: Progress) -> Installed:
    with model_lock(model.id), _no_empty_folder(model_folder(model.id)) as folder:
        # Another process may have installed it before this one got the lock.
        installed = find_installed(model.id)
        if installed:
            return installed
        files = []
        for file in model.files:
            target = folder / file.path
            if target.is_file() and file.sha256 and sha256_of(target) == file.sha256:
                progress(model, file, file.size)
                sha256 = file.sha256
            else:
                download = Download(model.url(file, hub), target, file.size, file.sha256)

                def report(size: int, file: ModelFile = file) -> None:
                    progress(model, file, size)

                sha256 = fetch(client, download, progress=report)
            files.append(InstalledFile(file.path, file.size, sha256, pinned=file.sha256 is not None))
        card = Installed(
            id=model.id,
            purpose=model.purpose,
            title=model.title,
            licence=model.licence,
            source=f"{urlsplit(hub).hostname}/{model.repository}@{model.revision}",
            entry=model.entry,
            files=tuple(files),
        )
        write_card(card)
        return card


@contextmanager
def _no_empty_folder(folder: Path) -> Iterator[Path]:
    """Remove the folder again where a download failed and left nothing in it."""
    try:
        yield folder
    except BaseException:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _bytes_to_come(model: Model) -> int:
    total = 0
    for file in model.files:
        target = model_folder(model.id) / file.path
        part = target.with_name(target.name + ".part")
        here = next((path.stat().st_size for path in (target, part) if path.is_file()), 0)
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
    with model_lock(model_id):
        was_there = model_folder(model_id).exists()
        try:
            files = tuple(_take(path, model_id, name, link, known) for name, path in sorted(parts.items()))
        except BaseException:
            if not was_there:
                shutil.rmtree(model_folder(model_id), ignore_errors=True)
            raise
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
