"""A new persona file from an existing one, comments and all."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from cvi.errors import CviError, UsageError
from cvi.paths import personas_dir
from cvi.persona.checking import examine
from cvi.persona.document import parse
from cvi.persona.loading import find_persona


def file_name(name: str) -> str:
    """ "Dr. Ada" -> "dr_ada". Raises `UsageError` when nothing is left."""
    stem = re.sub(r"[^\w]+", "_", name.lower()).strip("_")
    if not stem:
        raise UsageError(f"'{name}' has no letter or digit to name a file after.", "Choose another name.")
    return stem


def new_persona(name: str, source: str, target: Path | None, force: bool) -> Path:
    """Write a copy of the persona `source` under a new name, complete or not at all.

    `target` None is the folder of the user's personas. Raises `UsageError` when the file exists and
    `force` is not given, or when the source is itself at fault.
    """
    stem = file_name(name)
    path = target or personas_dir() / f"{stem}.yaml"
    origin = find_persona(source)
    persona, _ = examine(origin)
    if persona is None:
        raise UsageError(f"{origin} has errors.", f"See them with: cvi persona check {origin}")
    text = _renamed(origin.read_text(encoding="utf-8-sig"), name)
    head = f"# {file_name(name)}: begun as a copy of {origin.stem}. Check it with: cvi persona check FILE\n"
    return _write(path, head + text, force)


def _renamed(text: str, name: str) -> str:
    """The text with its name replaced and the comment above it, which describes the source, removed."""
    root, _ = parse(text)
    node = root.members.get("persona_name") or root.members["pal_name"]
    lines = text.splitlines(keepends=True)
    kept = 0
    while kept < len(lines) and lines[kept].startswith("#"):
        kept += 1
    at = node.key_line - 1
    lines[at] = f"persona_name: {json.dumps(name, ensure_ascii=False)}\n"
    return "".join(lines[kept:])


def _write(path: Path, text: str, force: bool) -> Path:
    exists = UsageError(f"{path} exists already.", "Choose another name or -o FILE, or add --force.")
    if path.exists() and not force:
        raise exists
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(made).chmod(0o644)
            if force:
                Path(made).replace(path)
            else:
                os.link(made, path)  # unlike replace, fails when someone was faster
        finally:
            Path(made).unlink(missing_ok=True)
    except FileExistsError:
        raise exists from None
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}."
        raise CviError(message, "Choose another place with -o FILE.") from error
    return path
