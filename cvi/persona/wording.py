"""The complaints of the schema in plain words, with a place and a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError

from cvi.persona.document import Fault, Node
from cvi.persona.schema import Persona
from cvi.persona.section import Section

Place = tuple[str | int, ...]


def explain(error: ValidationError, root: Node, places: Mapping[Place, Node]) -> list[Fault]:
    """Pydantic's complaints in our words, one for each place."""
    faults: dict[Place, Fault] = {}
    for item in error.errors(include_url=False, include_input=False):
        context = item.get("ctx", {})
        exact = (*item["loc"], *context.get("path", ()))
        at = exact
        while at and at not in places:
            at = at[:-1]
        node = places.get(at, root)
        if item["type"] == "missing":
            missing = str(exact[-1])
            message = f"'{missing}' is missing {_in(at)}"
            remedy = f"Add the line '{missing}: ...'."
            faults.setdefault(exact, Fault(node.line, node.column, message, remedy))
            continue
        message, remedy = _words(item, at, node.value)
        if at != exact and item["type"] != "persona_rule":  # one of several kinds of value would do
            message, remedy = f"{_shown(node.value)} is not a value of '{dotted(at)}'", _meaning(at)
        faults.setdefault(at, Fault(node.line, node.column, message, remedy))
    return list(faults.values())


def not_guessed(faults: list[Fault], reported: list[Fault]) -> list[Fault]:
    """Without "'x' is missing" where a misspelt 'x' was found."""
    guesses = {fault.remedy for fault in reported}
    return [
        fault
        for fault in faults
        if " is missing" not in fault.message or f"Did you mean {fault.message.split()[0]}?" not in guesses
    ]


def _in(at: Place) -> str:
    return f"in '{dotted(at)}'" if at else "in the persona"


def _words(item: Any, at: Place, value: Any) -> tuple[str, str]:
    kind, context, name = item["type"], item.get("ctx", {}), dotted(at)
    if kind == "persona_rule":
        return item["msg"], context["remedy"]
    if kind == "literal_error":
        return choice(name, value, [str(choice) for choice in _choices(context["expected"])])
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
            return f"'{name}' should be {wanted}, and is {kind_of(value)}", remedy
    if kind == "string_pattern_mismatch":
        return f"{_shown(value)} has the wrong form for '{name}'", _form(context["pattern"])
    said = item["msg"].replace("Input should be ", "").replace("String should have ", "a text of ")
    return f"'{name}' should be {said}", _meaning(at)


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


def choice(name: str, value: Any, choices: list[str]) -> tuple[str, str]:
    """Message and remedy for a value that is none of the choices."""
    near = get_close_matches(str(value).lower(), choices, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{_shown(value)} is not a value of '{name}'", f"{hint}Allowed: {', '.join(choices)}."


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) and len(value) <= 40 else kind_of(value)


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    if value is None:
        return "empty"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "a mapping")


def dotted(at: Place) -> str:
    """A place as people write it: layers.llm.model, objectives[0]."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in at).lstrip(".")


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a field holds, alone, in a list or as an option."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for argument in get_args(annotation):
        found = section_of(argument)
        if found is not None:
            return found
    return None
