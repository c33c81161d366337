"""A persona's document: what was sent, what it may refer to, what `check` finds, what is stored and shown.

A persona's file may say `${NAME}` for an environment variable and name any endpoint: whoever writes it owns
the machine. Whoever calls the API need not, and could have the server send its secrets anywhere; so a
document that comes over the wire reads nothing of the environment and reaches no private network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cvi.endpoints.outbound import OutboundPolicy
from cvi.files import replacing
from cvi.persona.field_effects import foreign_keys
from cvi.persona.findings import examine
from cvi.persona.policy import Knowledge
from cvi.persona.schema import Persona
from cvi.persona.section import Section, masked, references, section_of
from cvi.server.contract import HttpProblem, in_our_vocabulary
from cvi.untrusted import size_of
from cvi.yaml_document import MAX_BYTES, Node, parse

NOT_STORED = frozenset(
    (
        "persona_id",
        "pal_id",
        "created_at",
        "updated_at",
        "uuid",
        "owner_id",
        "session_id",
        "data",
        "persona_type",
        "pal_type",
        "is_draft",
        "source_template_id",
        "not_in_effect",
        "substituted_for",
    )
)
"""What the server says of a persona; it is not part of one."""

REFERENCES_STAY = (
    "${NAME} stands for the server's environment, which only a persona's file may read. Give the value "
    "itself."
)


def known_part(document: Any, model: type[Section] = Persona, at: str = "") -> Any:
    """The document without keys that a persona's file cannot have: the contract ignores those."""
    if not isinstance(document, Mapping):
        return document
    foreign = foreign_keys(at)
    known: dict[str, Any] = {}
    for key, value in document.items():
        name = model.other_spellings.get(str(key), str(key))
        if value is None or (name not in model.model_fields and key not in foreign):
            continue
        part = section_of(model.model_fields[name].annotation) if name in model.model_fields else None
        inner = f"{at}.{name}".lstrip(".")
        if part is not None and isinstance(value, list):
            known[key] = [known_part(item, part, inner) for item in value]
        else:
            known[key] = known_part(value, part, inner) if part is not None else value
    return known


def spelling(path: tuple[str, ...], parent: dict[str, Any], key: str) -> str:
    """For a JSON Patch: the key that a document has, whichever of its spellings the patch uses."""
    model: type[Section] | None = Persona
    for part in path:
        about = model.model_fields.get(model.other_spellings.get(part, part)) if model else None
        model = section_of(about.annotation) if about is not None else None
    if model is None or key in parent:
        return key
    name = model.other_spellings.get(key, key)
    same = [name, *(other for other, meant in model.other_spellings.items() if meant == name)]
    return next((each for each in same if each in parent), key)


def without_bookkeeping(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in our vocabulary, without what the server itself says of a persona."""
    return {key: value for key, value in in_our_vocabulary(document).items() if key not in NOT_STORED}


def accepted(body: Mapping[str, Any]) -> dict[str, Any]:
    """A client's document as it can be written. Raises `HttpProblem` with what is wrong in it."""
    document = known_part(without_bookkeeping(body))
    if document.get("pipeline_mode") == "speech-to-speech":
        raise HttpProblem(501, "Speech-to-speech personas are not part of this version of cvi.", "message")
    check(document)
    return document  # type: ignore[no-any-return]


def check(document: Mapping[str, Any]) -> Persona:
    """The persona of a document. Raises `HttpProblem`."""
    try:
        return Persona.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        context = first.get("ctx") or {}
        text = f"{where}: {first['msg']}" if where else str(first["msg"])
        raise HttpProblem(400, f"{text}. {context.get('remedy', '')}".strip()) from None


def shown(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as it is answered: secrets masked wherever they stand."""
    return masked(document)  # type: ignore[no-any-return]


class _Dumper(yaml.SafeDumper):
    """Quotes a text unless it begins with a letter: what our reader takes for a number never does."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style: str | None = '"'
    if text.replace("\n", "").isprintable() and not text[:1].isspace():
        style = "|" if "\n" in text else None if text[:1].isalpha() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


WRITTEN = "# Written by the server; check it with: cvi persona check FILE\n"
"""The first line of a persona that came through the API; addresses in it were named by a stranger."""


def persona_text(document: Mapping[str, Any]) -> str:
    """A persona's document as YAML that reads back the same."""
    return str(yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100))


def write_persona(path: Path, document: Mapping[str, Any], *, new: bool) -> None:
    """Write a persona's file, whole or not at all, and only one that reads back the same.

    Raises FileExistsError when `new` and there is one, `HttpProblem` for a document that no file can hold,
    `CviError` when it cannot be written.
    """
    if new and path.exists():
        raise FileExistsError(path)
    if size_of(document).chars > MAX_BYTES:  # before minutes are spent on writing it
        raise HttpProblem(400, f"The persona is larger than {MAX_BYTES} bytes.")
    text = WRITTEN + persona_text(document)
    with replacing(path, mode=0o600, remedy="Free some space.") as part:
        part.write_text(text, encoding="utf-8")
        persona, findings = examine(part)
        if persona is None:
            faults = [finding for finding in findings if finding.severity == "error"]
            raise HttpProblem(400, f"{faults[0].message}. {faults[0].remedy}".strip())


def refuse_references(document: Mapping[str, Any]) -> None:
    """Raises `HttpProblem` for a document that refers to the environment."""
    if _refers(document):
        raise HttpProblem(400, REFERENCES_STAY)


def check_references(document: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Raises `HttpProblem` where a layer refers to the environment and is not just as it was."""
    for name in ("tools", "mcp_servers"):
        if _refers(document.get(name)) and document.get(name) != before.get(name):
            raise HttpProblem(400, f"{name}: {REFERENCES_STAY}")
    if document.get("knowledge") != before.get("knowledge"):
        _check_knowledge(Knowledge.model_validate(document.get("knowledge") or {}))
    known = _layers(before)
    for name, layer in _layers(document).items():
        if _refers(layer) and layer != known.get(name):
            raise HttpProblem(
                400,
                f"layers.{name}: {REFERENCES_STAY}",
            )


def _check_knowledge(knowledge: Knowledge) -> None:
    """A stranger's persona reads addresses, and none of the server's files or of other people's documents."""
    if not all(each.startswith(("http://", "https://")) for each in knowledge.documents):
        raise HttpProblem(400, "knowledge.documents: give web addresses, no files of the server.")
    if knowledge.document_ids or knowledge.tags:
        raise HttpProblem(400, "knowledge: name documents with document_ids and document_tags.")


async def vet_endpoints(
    document: Mapping[str, Any], before: Mapping[str, Any], policy: OutboundPolicy
) -> None:
    """Raises `RefusedAddressError` where a new endpoint leads into a private network."""
    known = {_address(layer) for layer in _layers(before).values()}
    for layer in _layers(document).values():
        address = _address(layer)
        if address and address not in known:
            await policy.vet(address)


def _layers(document: Mapping[str, Any]) -> Mapping[str, Any]:
    layers = document.get("layers")
    return layers if isinstance(layers, Mapping) else {}


def _address(layer: Any) -> str:
    address = layer.get("base_url") if isinstance(layer, Mapping) else None
    return address if isinstance(address, str) else ""


def _refers(value: Any) -> bool:
    if isinstance(value, str):
        return bool(references(value))
    if isinstance(value, Mapping):
        return any(map(_refers, value.values()))
    return isinstance(value, list) and any(map(_refers, value))


def check_document(document: Mapping[str, Any], before: Mapping[str, Any]) -> list[dict[str, str]]:
    """The findings, errors first: `severity`, `field` (dotted, "" for the whole), `message`, `remedy`.

    `before` is what is stored, where a persona is changed. Blocks on the disk.
    """
    document = without_bookkeeping(document)
    try:
        check_references(document, before)
    except HttpProblem as problem:
        field = problem.text.partition(":")[0]
        return [{"severity": "error", "field": field, "message": problem.text, "remedy": ""}]
    text = persona_text(document)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "persona.yaml"
        path.write_text(text, encoding="utf-8")
        _, findings = examine(path)
    fields = dict(_lines(parse(text)[0], ""))
    rows = [
        {
            "severity": finding.severity,
            "field": fields.get(finding.line, ""),
            "message": finding.message,
            "remedy": finding.remedy,
        }
        for finding in findings
    ]
    return sorted(rows, key=lambda row: row["severity"] != "error")


def _lines(node: Node, at: str) -> Iterator[tuple[int, str]]:
    """Each line of the text and the field that stands there; a member's before those inside it."""
    for key, member in node.members.items():
        field = f"{at}.{key}".lstrip(".")
        yield member.key_line or member.line, field
        yield member.line, field
        yield from _lines(member, field)
