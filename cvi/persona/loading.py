"""Finding and loading personas.

A persona is named by the path of its file, or by a bare name that is looked up first in the user's
own personas and then among those that ship.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from cvi.errors import UsageError
from cvi.paths import personas_dir, shared_dir
from cvi.persona.checking import Finding, examine
from cvi.persona.schema import Persona

SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class PersonaFile:
    """A persona that can be loaded by `name`. `shipped` ones came with the package."""

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
    path = Path(text).expanduser()
    if path.is_file():
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
    """Everything to say about a file, in file order; empty when there is nothing."""
    return examine(Path(path))[1]


def load_persona(name_or_path: str | Path) -> Persona:
    """The persona of that path or name. Raises `UsageError` that lists what is wrong, line by line."""
    path = find_persona(name_or_path)
    persona, findings = examine(path)
    if persona is not None:
        return persona
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if len(errors) == 1:
        raise UsageError(errors[0])
    raise UsageError("\n".join([f"{path} has {len(errors)} errors:", *errors]))
