"""What is wrong with a persona file, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from cvi.persona.document import MAX_BYTES, Fault, Node, parse
from cvi.persona.environment import references
from cvi.persona.layers import HOSTED_STT_PREFIX, HOSTED_TTS
from cvi.persona.schema import Persona
from cvi.persona.section import Section
from cvi.persona.wording import Place, choice, dotted, explain, kind_of, not_guessed, section_of

_ENGINE_LAYERS = ("stt", "llm", "tts", "face")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend, or to know. Lines and columns count from 1."""

    file: Path
    line: int
    column: int
    severity: Literal["error", "warning"]
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.severity}: {self.message}. {self.remedy}".strip()


def examine(path: Path) -> tuple[Persona | None, list[Finding]]:
    """Read a file. The persona is None exactly when a finding is an error; findings are in file order."""
    try:
        root, faults = parse(_read(path))
        if not root.is_mapping:
            message = f"a persona is a mapping, and this is {kind_of(root.value)}"
            raise Fault(1, 1, message, "Write 'key: value' lines.")
    except Fault as fault:
        return None, [_finding(path, fault, "error")]
    errors = list(faults)
    warnings: list[Fault] = []
    places: dict[Place, Node] = {}
    _walk(root, Persona, (), places, errors, warnings)
    persona: Persona | None = None
    try:
        persona = Persona.model_validate(root.value)
    except ValidationError as error:
        errors += not_guessed(explain(error, root, places), errors)
    warnings += _secrets(places)
    if persona is not None:
        warnings += _engines(persona, places)
    findings = [_finding(path, fault, "error") for fault in errors]
    findings += [_finding(path, fault, "warning") for fault in warnings]
    findings.sort(key=lambda finding: (finding.line, finding.column))
    return (None if errors else persona), findings


def _finding(path: Path, fault: Fault, severity: Literal["error", "warning"]) -> Finding:
    return Finding(path, fault.line, fault.column, severity, fault.message, fault.remedy)


def _read(path: Path) -> str:
    """The file's text. Raises `Fault`."""
    if path.is_dir():
        raise Fault(1, 1, "this is a folder", "Name the persona's file in it.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise Fault(1, 1, "there is no such file", "See what there is with: cvi persona list") from None
    except OSError as error:
        raise Fault(1, 1, f"the file cannot be read ({error.strerror})", "Check its permissions.") from None
    if len(data) > MAX_BYTES:
        raise Fault(1, 1, "the file is larger than 1 MiB", "Move long texts to documents under 'knowledge'.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise Fault(line, column, "the file is not UTF-8 text", "Save it as UTF-8.") from None
    if not text.strip():
        raise Fault(1, 1, "the file is empty", "Write one with: cvi persona new NAME")
    return text


def _walk(
    node: Node,
    model: type[Section],
    at: Place,
    places: dict[Place, Node],
    errors: list[Fault],
    warnings: list[Fault],
) -> None:
    """Note where each value stands, under our spelling of its path, and judge the keys."""
    places[at] = node
    for key, member in node.members.items():
        name = model.other_spellings.get(str(key), str(key))
        place = (*at, name)
        if name in model.model_fields:
            part = section_of(model.model_fields[name].annotation)
            if part is not None and member.is_mapping:
                _walk(member, part, place, places, errors, warnings)
            elif part is not None and isinstance(member.value, list):
                places[place] = member
                for index, item in member.members.items():
                    _walk(item, part, (*place, index), places, errors, warnings)
            else:
                _note(member, place, places)
            if name in model.not_yet and member.value not in (None, model.not_yet[name]):
                warnings.append(_at_key(member, f"'{key}' is accepted and has no effect here yet", ""))
        elif key in model.without_effect:
            instead = model.without_effect[str(key)]
            remedy = f"What has an effect: {instead}." if instead else ""
            warnings.append(_at_key(member, f"'{key}' is accepted and has no effect here", remedy))
        elif node.is_mapping:
            errors.append(_at_key(member, f"'{key}' is not a key {_where(at)}", _remedy(str(key), model, at)))


def _note(node: Node, at: Place, places: dict[Place, Node]) -> None:
    places[at] = node
    for key, member in node.members.items():
        _note(member, (*at, key), places)


def _at_key(node: Node, message: str, remedy: str) -> Fault:
    return Fault(node.key_line, node.key_column, message, remedy)


def _where(at: Place) -> str:
    return f"of '{dotted(at)}'" if at else "of a persona"


def _remedy(key: str, model: type[Section], at: Place) -> str:
    known = [*model.model_fields, *model.other_spellings]
    near = get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.7)
    if near:
        return f"Did you mean '{near[0]}'?"
    homes = [place for place, name in _homes(Persona, ()) if name == key and place != at]
    if homes:
        return f"It belongs under '{dotted(homes[0])}'." if homes[0] else "It belongs at the top level."
    near = get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    return f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(sorted(model.model_fields))}."


def _homes(model: type[Section], at: Place) -> Iterator[tuple[Place, str]]:
    for name in (*model.model_fields, *model.other_spellings):
        yield at, name
    for name, about in model.model_fields.items():
        part = section_of(about.annotation)
        if part is not None and isinstance(about.annotation, type):
            yield from _homes(part, (*at, name))


def _secrets(places: Mapping[Place, Node]) -> Iterator[Fault]:
    import os

    for at, node in places.items():
        if not isinstance(node.value, str) or not at:
            continue
        if at[0] != "layers" and at[0] != "tools":
            continue
        for name in references(node.value):
            if not os.environ.get(name):
                message = f"'{dotted(at)}' refers to ${{{name}}}, and that environment variable is not set"
                yield Fault(node.line, node.column, message, f"Set it before you start: export {name}=...")
        if at[-1] == "api_key" and not references(node.value):
            message = f"'{dotted(at)}' keeps a secret in a file that others may read"
            remedy = "Put it in an environment variable, and its name here: api_key: ${MY_KEY}"
            yield Fault(node.line, node.column, message, remedy)


def _engines(persona: Persona, places: Mapping[Place, Node]) -> Iterator[Fault]:
    """Engines that are not installed here: no error, because the file may be meant for another machine."""
    from cvi.engine_registry import names

    for layer in _ENGINE_LAYERS:
        node = places.get(("layers", layer, "engine"))
        engine = getattr(persona.layers, layer).engine
        hosted = (engine or "").startswith(HOSTED_STT_PREFIX) or engine in HOSTED_TTS
        if node is None or engine is None or hosted or engine in names(layer):
            continue
        message, remedy = choice(f"layers.{layer}.engine", engine, names(layer))
        remedy = remedy.replace("Allowed", "Installed")
        yield Fault(node.line, node.column, f"{message} on this machine", remedy)
