"""Errors and warnings about a persona file, each with its line and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from cvi.persona.field_effects import EFFECTS, FieldEffect
from cvi.persona.layers import HOSTED_STT_PREFIX, HOSTED_TTS
from cvi.persona.schema import EmbeddedPersona, Persona
from cvi.persona.section import Section, references, section_of
from cvi.yaml_document import MAX_BYTES, DocumentFault, Node, parse

Place = tuple[str | int, ...]
"""Where a value is: keys and indexes from the top of the file."""

S = TypeVar("S", bound=Section)

SUFFIXES = (".yaml", ".yml", ".json")
EMBEDDED_FOLDER = "embedded"

_ENGINE_LAYERS = ("stt", "llm", "tts", "face")


@dataclass(frozen=True, slots=True)
class Finding:
    """An error or warning about a file. Lines and columns count from 1."""

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
    """Read and check a persona's file, and the one for very small models beside it, which is merged into the
    persona. The persona is None after an error in either; findings are in the order of each file."""
    persona, findings = _examine(path, Persona, ())
    beside = embedded_file(path)
    if beside is None:
        return persona, findings
    small, more = examine_embedded(beside)
    if persona is None or small is None:
        return None, [*findings, *more]
    return persona.model_copy(update={"embedded": small}), [*findings, *more]


def examine_embedded(path: Path) -> tuple[EmbeddedPersona | None, list[Finding]]:
    """Read and check a file with a persona's texts for very small models; see `examine`."""
    return _examine(path, EmbeddedPersona, ("embedded",))


def embedded_file(path: Path) -> Path | None:
    """The file with the texts for very small models that belongs to a persona's file: `embedded/NAME.yaml`
    beside it. None where there is none."""
    places = (path.parent / EMBEDDED_FOLDER / f"{path.stem}{suffix}" for suffix in SUFFIXES)
    return next((place for place in places if place.is_file()), None)


def is_embedded_file(path: Path) -> bool:
    """Whether the file belongs to a persona's file in the folder above it; see `embedded_file`."""
    above = path.absolute().parent.parent
    return path.absolute().parent.name == EMBEDDED_FOLDER and any(
        (above / f"{path.stem}{suffix}").is_file() for suffix in SUFFIXES
    )


def _examine(path: Path, model: type[S], at: Place) -> tuple[S | None, list[Finding]]:
    """Read and check a file that holds the section `at` a place of a persona."""
    try:
        root, faults = parse(_read(path))
        if not root.is_mapping:
            message = f"a persona is a mapping, and this is {_kind_of(root.value)}"
            raise DocumentFault(1, 1, message, "Write 'key: value' lines.")
    except DocumentFault as fault:
        return None, [_finding(path, fault, "error")]
    errors = list(faults)
    warnings: list[DocumentFault] = []
    places: dict[Place, Node] = {}
    _walk(root, model, at, places, errors, warnings)
    found: S | None = None
    try:
        found = model.model_validate(root.value)
    except ValidationError as error:
        errors += _not_guessed(_explain(error, root, places, at), errors)
    warnings += _secrets(places)
    if isinstance(found, Persona):
        warnings += _engines(found, places)
    findings = [_finding(path, fault, "error") for fault in errors]
    findings += [_finding(path, fault, "warning") for fault in warnings]
    findings.sort(key=lambda finding: (finding.line, finding.column))
    return (None if errors else found), findings


def _finding(path: Path, fault: DocumentFault, severity: Literal["error", "warning"]) -> Finding:
    return Finding(path, fault.line, fault.column, severity, fault.message, fault.remedy)


def _read(path: Path) -> str:
    """The file's text. Raises `DocumentFault`."""
    if path.is_dir():
        raise DocumentFault(1, 1, "this is a folder", "Name the persona's file in it.")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise DocumentFault(
            1, 1, "there is no such file", "See what there is with: cvi persona list"
        ) from None
    except OSError as error:
        raise DocumentFault(
            1, 1, f"the file cannot be read ({error.strerror})", "Check its permissions."
        ) from None
    if len(data) > MAX_BYTES:
        raise DocumentFault(
            1, 1, "the file is larger than 1 MiB", "Move long texts to documents under 'knowledge'."
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise DocumentFault(line, column, "the file is not UTF-8 text", "Save it as UTF-8.") from None
    if not text.strip():
        raise DocumentFault(1, 1, "the file is empty", "Write one with: cvi persona new NAME")
    return text


def _walk(
    node: Node,
    model: type[Section],
    at: Place,
    places: dict[Place, Node],
    errors: list[DocumentFault],
    warnings: list[DocumentFault],
) -> None:
    """Collect the place of each value, under our spelling of its path, and check the keys."""
    places[at] = node
    for key, member in node.members.items():
        name = model.other_spellings.get(str(key), str(key))
        place = (*at, name)
        effect = EFFECTS.get(".".join(part for part in place if isinstance(part, str)))
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
            _judge(member, str(key), effect, warnings)
        elif effect is not None:
            _judge(member, str(key), effect, warnings)
        elif node.is_mapping:
            errors.append(_at_key(member, f"'{key}' is not a key {_where(at)}", _remedy(str(key), model, at)))


def _judge(member: Node, key: str, effect: FieldEffect | None, warnings: list[DocumentFault]) -> None:
    """Warn of a key that does nothing, wherever the persona is used."""
    if effect is None or effect.is_in_effect(served=False, small_model=False):
        return
    if member.value is not None and member.value != effect.neutral:
        message = f"'{key}' is accepted and has no effect here: {effect.why}"
        warnings.append(_at_key(member, message, effect.remedy))


def _note(node: Node, at: Place, places: dict[Place, Node]) -> None:
    places[at] = node
    for key, member in node.members.items():
        _note(member, (*at, key), places)


def _at_key(node: Node, message: str, remedy: str) -> DocumentFault:
    return DocumentFault(node.key_line, node.key_column, message, remedy)


def _where(at: Place) -> str:
    return f"of '{_dotted(at)}'" if at else "of a persona"


def _remedy(key: str, model: type[Section], at: Place) -> str:
    known = [*model.model_fields, *model.other_spellings]
    near = get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.7)
    if near:
        return f"Did you mean '{near[0]}'?"
    homes = [place for place, name in _homes(Persona, ()) if name == key and place != at]
    if homes:
        return f"It belongs under '{_dotted(homes[0])}'." if homes[0] else "It belongs at the top level."
    near = get_close_matches(key.lower().replace("-", "_"), known, n=1, cutoff=0.5)
    return f"Did you mean '{near[0]}'?" if near else f"Known here: {', '.join(sorted(model.model_fields))}."


def _homes(model: type[Section], at: Place) -> Iterator[tuple[Place, str]]:
    for name in (*model.model_fields, *model.other_spellings):
        yield at, name
    for name, about in model.model_fields.items():
        part = section_of(about.annotation)
        if part is not None and isinstance(about.annotation, type):
            yield from _homes(part, (*at, name))


def _secrets(places: Mapping[Place, Node]) -> Iterator[DocumentFault]:
    import os

    for at, node in places.items():
        if not isinstance(node.value, str) or not at:
            continue
        if at[0] != "layers" and at[0] != "tools":
            continue
        for name in references(node.value):
            if not os.environ.get(name):
                message = f"'{_dotted(at)}' refers to ${{{name}}}, and that environment variable is not set"
                yield DocumentFault(
                    node.line, node.column, message, f"Set it before you start: export {name}=..."
                )
        if at[-1] == "api_key" and not references(node.value):
            message = f"'{_dotted(at)}' keeps a secret in a file that others may read"
            remedy = "Put it in an environment variable, and its name here: api_key: ${MY_KEY}"
            yield DocumentFault(node.line, node.column, message, remedy)


def _engines(persona: Persona, places: Mapping[Place, Node]) -> Iterator[DocumentFault]:
    """Warnings for engines that are not installed: the file may be meant for another machine."""
    from cvi.engine_registry import names

    for layer in _ENGINE_LAYERS:
        node = places.get(("layers", layer, "engine"))
        engine = getattr(persona.layers, layer).engine
        hosted = (engine or "").startswith(HOSTED_STT_PREFIX) or engine in HOSTED_TTS
        if node is None or engine is None or hosted or engine in names(layer):
            continue
        message, remedy = _choice(f"layers.{layer}.engine", engine, names(layer))
        remedy = remedy.replace("Allowed", "Installed")
        yield DocumentFault(node.line, node.column, f"{message} on this machine", remedy)


def _explain(
    error: ValidationError, root: Node, places: Mapping[Place, Node], within: Place
) -> list[DocumentFault]:
    """Pydantic's errors in plain words, one for each place; `within` is the place of the document."""
    faults: dict[Place, DocumentFault] = {}
    for item in error.errors(include_url=False, include_input=False):
        context = item.get("ctx", {})
        exact = (*within, *item["loc"], *context.get("path", ()))
        at = exact
        while at and at not in places:
            at = at[:-1]
        node = places.get(at, root)
        if item["type"] == "missing":
            missing = str(exact[-1])
            message = f"'{missing}' is missing {_in(at)}"
            remedy = f"Add the line '{missing}: ...'."
            faults.setdefault(exact, DocumentFault(node.line, node.column, message, remedy))
            continue
        message, remedy = _words(item, at, node.value)
        if at != exact and item["type"] != "persona_rule":  # one of several kinds of value would do
            message, remedy = f"{_shown(node.value)} is not a value of '{_dotted(at)}'", _meaning(at)
        faults.setdefault(at, DocumentFault(node.line, node.column, message, remedy))
    return list(faults.values())


def _not_guessed(faults: list[DocumentFault], reported: list[DocumentFault]) -> list[DocumentFault]:
    """`faults` without "'x' is missing" where a misspelt 'x' was found."""
    guesses = {fault.remedy for fault in reported}
    return [
        fault
        for fault in faults
        if " is missing" not in fault.message or f"Did you mean {fault.message.split()[0]}?" not in guesses
    ]


def _in(at: Place) -> str:
    return f"in '{_dotted(at)}'" if at else "in the persona"


def _words(item: Any, at: Place, value: Any) -> tuple[str, str]:
    kind, context, name = item["type"], item.get("ctx", {}), _dotted(at)
    if kind == "persona_rule":
        return item["msg"], context["remedy"]
    if kind == "literal_error":
        return _choice(name, value, [str(choice) for choice in _choices(context["expected"])])
    for sign, wanted in (
        ("string_type", "a text"),
        ("list_type", "a list"),
        ("dict_type", "a mapping"),
        ("model_type", "a mapping"),
        ("bool_", "true or false"),
        ("int_", "a whole number"),
        ("float_", "a number"),
    ):
        if kind.startswith(sign):
            quotes = wanted == "a text" and isinstance(value, int | float)
            remedy = "Put it in quotes." if quotes else f"Write {wanted}."
            return f"'{name}' should be {wanted}, and is {_kind_of(value)}", remedy
    if kind == "string_pattern_mismatch":
        return f"{_shown(value)} has the wrong form for '{name}'", _form(context["pattern"])
    wanted = item["msg"].replace("Input should be ", "").replace("String should have ", "a text of ")
    return f"'{name}' should be {wanted}", _meaning(at)


def _form(pattern: str) -> str:
    if "http" in pattern:
        return "Begin it with http:// or https://."
    return "Use letters, digits and underscores alone, no spaces."


def _meaning(at: Place) -> str:
    """What the schema says about a field."""
    part: type[Section] | None = Persona
    meaning = None
    for step in at:
        if isinstance(step, str) and part is not None and step in part.model_fields:
            meaning = part.model_fields[step].description
            part = section_of(part.model_fields[step].annotation)
    return " ".join(meaning.split()) if meaning else "See what is allowed with: cvi persona schema"


def _choices(expected: str) -> list[str]:
    return [choice.strip().strip("'") for choice in expected.replace(" or ", ", ").split(",")]


def _choice(name: str, value: Any, choices: list[str]) -> tuple[str, str]:
    """Message and remedy for a value that is none of the choices."""
    near = get_close_matches(str(value).lower(), choices, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{_shown(value)} is not a value of '{name}'", f"{hint}Allowed: {', '.join(choices)}."


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) and len(value) <= 40 else _kind_of(value)


def _kind_of(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a mapping")


def _dotted(at: Place) -> str:
    """A place as people write it: layers.llm.model, objectives[0]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")
