"""Finding, loading and copying persona files.

A persona is named by the path of its file, or by a bare name that is looked up first in the user's
own personas and then among those that ship.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cvi.errors import UsageError
from cvi.files import is_file, replacing
from cvi.paths import personas_dir, shared_dir, user_path
from cvi.persona.findings import (
    EMBEDDED_FOLDER,
    SUFFIXES,
    Finding,
    embedded_file,
    examine,
    examine_embedded,
    is_embedded_file,
)
from cvi.persona.policy import Knowledge
from cvi.persona.schema import Persona
from cvi.yaml_document import parse


@dataclass(frozen=True, slots=True)
class PersonaFile:
    """A persona that can be loaded by `name`; `shipped` with the package, or the user's own."""

    name: str
    path: Path
    shipped: bool


def list_personas() -> list[PersonaFile]:
    """All that a bare name can mean, sorted by name; the user's own hide shipped ones of their name."""
    found: dict[str, PersonaFile] = {}
    for folder, shipped in ((shared_dir("personas"), True), (personas_dir(), False)):
        if not folder.is_dir():
            continue
        for path in sorted(folder.iterdir(), reverse=True):
            if path.suffix in SUFFIXES and path.is_file():
                found[path.stem] = PersonaFile(path.stem, path, shipped)
    return sorted(found.values(), key=lambda file: file.name)


def find_persona(name_or_path: str | Path) -> Path:
    """The file of a persona. Raises `UsageError` when there is none."""
    text = str(name_or_path)
    path = user_path(text)
    if is_file(path):
        return path
    if isinstance(name_or_path, Path) or path.suffix in SUFFIXES or path.name != text:
        raise UsageError(f"There is no persona file {text}.", "See what there is with: cvi persona list")
    known = {file.name: file.path for file in list_personas()}
    for name in (text, text.replace("-", "_").replace(" ", "_").lower()):
        if name in known:
            return known[name]
    near = get_close_matches(text.lower(), list(known), n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(known) or 'none'}."
    raise UsageError(f"There is no persona named '{text}'.", hint)


def check_persona(path: str | Path) -> list[Finding]:
    """Every error and warning of a persona's file and of its texts for very small models, by line."""
    path = Path(path)
    return (examine_embedded(path) if is_embedded_file(path) else examine(path))[1]


def load_persona(name_or_path: str | Path) -> Persona:
    """The persona of that path or name. Raises `UsageError` that lists what is wrong, line by line."""
    path = find_persona(name_or_path)
    persona, findings = examine(path)
    if persona is not None:
        knowledge = with_absolute_documents(persona.knowledge, path.parent)
        return persona.model_copy(update={"knowledge": knowledge})
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if len(errors) == 1:
        raise UsageError(errors[0])
    raise UsageError("\n".join([f"{path} has {len(errors)} errors:", *errors]))


def with_absolute_documents(knowledge: Knowledge, folder: Path) -> Knowledge:
    """The knowledge with relative paths of documents read from `folder`, that of the persona's file."""
    documents = [
        each if each.startswith(("http://", "https://")) else str((folder / user_path(each)).absolute())
        for each in knowledge.documents
    ]
    return knowledge.model_copy(update={"documents": documents})


def load_document(name_or_path: str | Path) -> dict[str, Any]:
    """What the file of a persona says, as it stands there. Raises `UsageError` when there is none."""
    root, _ = parse(find_persona(name_or_path).read_text(encoding="utf-8-sig"))
    return dict(root.value)


def load_embedded_document(path: Path) -> dict[str, Any] | None:
    """What the file beside a persona's file says for very small models; None where there is none, or it has
    errors."""
    beside = embedded_file(path)
    small = None if beside is None else examine_embedded(beside)[0]
    return None if small is None else small.model_dump(mode="json")


def file_name(name: str) -> str:
    """ "Dr. Ada" -> "dr_ada". Raises `UsageError` when nothing is left."""
    stem = re.sub(r"[^\w]+", "_", name.lower()).strip("_")
    if not stem:
        raise UsageError(f"'{name}' has no letter or digit to name a file after.", "Choose another name.")
    return stem


def new_persona(name: str, source: str, target: Path | None, force: bool) -> Path:
    """Write a copy of the persona `source` under a new name, complete or not at all, with the file for very
    small models that belongs to it.

    Where its texts call the source by its first name, they call the copy by its own.

    `target` None is the folder of the user's personas. Raises `UsageError` when the file exists and
    `force` is not given, or when the source has errors, CviError where the file cannot be written.
    """
    stem = file_name(name)
    path = target or personas_dir() / f"{stem}.yaml"
    origin = find_persona(source)
    persona, _ = examine(origin)
    if persona is None:
        raise UsageError(f"{origin} has errors.", f"See them with: cvi persona check {origin}")
    text = _renamed(origin.read_text(encoding="utf-8-sig"), persona.persona_name, name)
    head = f"# {stem}: begun as a copy of {origin.stem}. Check it with: cvi persona check FILE\n"
    if path.exists() and not force:
        raise UsageError(f"{path} exists already.", "Choose another name or -o FILE, or add --force.")
    remedy = "Choose another place with -o FILE."
    small, copied = embedded_file(origin), embedded_file(path)
    if small is not None:
        words = _with_first_name(small.read_text(encoding="utf-8-sig"), persona.persona_name, name)
        target = path.parent / EMBEDDED_FOLDER / f"{path.stem}{small.suffix}"
        with replacing(target, remedy=remedy) as part:
            part.write_text(words, encoding="utf-8")
    with replacing(path, remedy=remedy) as part:
        part.write_text(head + text, encoding="utf-8")
    if copied is not None and small is None:
        copied.unlink()
    return path


def _renamed(text: str, old_name: str, name: str) -> str:
    """The text with its names replaced and the comment above it, which describes the source, removed."""
    root, _ = parse(text)
    node = root.members.get("persona_name") or root.members["pal_name"]
    lines = text.splitlines(keepends=True)
    first = next((number for number, line in enumerate(lines) if not line.startswith("#")), 0)
    lines[node.key_line - 1] = f"persona_name: {json.dumps(name, ensure_ascii=False)}\n"
    return _with_first_name("".join(lines[first:]), old_name, name)


def _with_first_name(text: str, old_name: str, name: str) -> str:
    """The text with the first word of `old_name` replaced by that of `name`."""
    old, new = (re.split(r"[\s,]", full.strip(), maxsplit=1)[0] for full in (old_name, name))
    return re.sub(rf"\b{re.escape(old)}\b", lambda _: new, text) if old else text
