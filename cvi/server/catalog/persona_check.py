"""What `cvi persona check` would say of a persona that a client sends: the same messages, by field."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cvi.persona.findings import examine
from cvi.server.catalog.persona_document import check_references, persona_text, without_bookkeeping
from cvi.server.contract import HttpProblem
from cvi.yaml_document import Node, parse


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
