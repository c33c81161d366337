"""YAML text as values with their lines and columns.

YAML 1.2 scalars: only `true` and `false` are booleans, so that `idle_engagement: off`,
`language: no` and `at: 12:30` are the texts they look like. No tags, no merge keys; aliases are
expanded within a budget, so that a few lines cannot become gigabytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cvi.errors import UsageError
from cvi.untrusted import valid_text

MAX_BYTES = 1 << 20
MAX_DEPTH = 40
MAX_NODES = 50_000
MAX_ALIASES = 200


@dataclass(eq=False)
class DocumentFault(Exception):  # noqa: N818 - it becomes a finding
    """An error or warning at a place of the file; lines and columns count from 1."""

    line: int
    column: int
    message: str
    remedy: str


@dataclass(slots=True)
class Node:
    """A value and its place; `key_line` and `key_column` are the place of its key in a mapping.

    `members` are the values in a mapping by key, or in a list by index.
    """

    value: Any
    line: int
    column: int
    key_line: int
    key_column: int
    members: dict[str | int, Node] = field(default_factory=dict)

    @property
    def is_mapping(self) -> bool:
        """Whether the value is a mapping."""
        return isinstance(self.value, dict)


class _Loader(yaml.SafeLoader):
    """Composes the node tree with a limit on depth and on aliases."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - a class attribute of PyYAML's

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            self._aliases += 1
        self._depth += 1
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self._depth > MAX_DEPTH:
            raise _at(mark, f"nested more than {MAX_DEPTH} deep", "Make it flatter.")
        if self._aliases > MAX_ALIASES:
            raise _at(mark, f"more than {MAX_ALIASES} aliases", "Write the values out.")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


def parse(text: str) -> tuple[Node, list[DocumentFault]]:
    """The tree of one YAML document, and the faults that do not stop reading it (repeated keys).

    Raises `DocumentFault` for a text that is no YAML or exceeds a limit on size, depth or aliases.
    """
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line, column = _place(text, error.position)
        raise DocumentFault(
            line,
            column,
            f"a character that YAML does not allow (code {error.character})",
            "Remove it; it may be invisible.",
        ) from error
    except yaml.MarkedYAMLError as error:
        raise _syntax(error) from error
    finally:
        if loader is not None:
            loader.dispose()
    if root is None:
        raise DocumentFault(1, 1, "the file is empty", "Write one with: cvi persona new NAME")
    reader = _Reader()
    return reader.read(root, None), reader.faults


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, within the same limits. Raises UsageError, with line and column of a fault."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES} bytes.", "Shorten it.")
        return parse(data.decode("utf-8-sig"))[0].value
    except DocumentFault as fault:
        raise UsageError(f"{path}:{fault.line}:{fault.column}: {fault.message}.", fault.remedy) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8.", "Correct the file.") from error
    except OSError as error:
        raise UsageError(f"Cannot read {path} ({error.strerror}).", "Check the path.") from error


class _Reader:
    """Turns PyYAML's nodes into ours, aliases expanded."""

    def __init__(self) -> None:
        self.faults: list[DocumentFault] = []
        self._count = 0
        self._open: set[int] = set()
        self._reported: set[int] = set()

    def read(self, node: Any, key: Any) -> Node:
        self._count += 1
        if self._count > MAX_NODES:
            message = f"more than {MAX_NODES} values once aliases are expanded"
            raise _at(node.start_mark, message, "Shorten it.")
        if id(node) in self._open:
            raise _at(node.start_mark, "an alias that contains itself", "Write the value out.")
        mark, key_mark = node.start_mark, (key or node).start_mark
        made = Node(None, mark.line + 1, mark.column + 1, key_mark.line + 1, key_mark.column + 1)
        self._open.add(id(node))
        if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
            self._mapping(node, made)
        elif isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
            made.members = {index: self.read(item, None) for index, item in enumerate(node.value)}
            made.value = [member.value for member in made.members.values()]
        else:
            made.value = _scalar(node)
        self._open.discard(id(node))
        return made

    def _mapping(self, node: Any, made: Node) -> None:
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _at(key.start_mark, "a key that is not a word", "Write a plain word before the colon.")
            member = self.read(item, key)
            if key.value == "<<":
                raise _at(key.start_mark, "a merge key '<<', which is not read here", "Write the values out.")
            name = valid_text(key.value)
            if name not in made.members:
                made.members[name] = member
            elif id(key) not in self._reported:
                self._reported.add(id(key))
                first = made.members[name].key_line
                message = f"'{name}' stands here for the second time (first in line {first})"
                self.faults.append(_at(key.start_mark, message, "Remove one of the two."))
        made.value = {name: member.value for name, member in made.members.items()}


def _scalar(node: Any) -> Any:
    kind = node.tag.rsplit(":", 1)[-1] if node.tag.startswith("tag:yaml.org,2002:") else ""
    if not isinstance(node, yaml.ScalarNode) or kind not in ("str", "bool", "null", "int", "float"):
        raise _at(node.start_mark, f"a tag '{node.tag}', which is not read here", "Write the plain value.")
    text = valid_text(node.value)
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError as error:
        raise _at(node.start_mark, f"'{text[:40]}' is not a number", "Put it in quotes.") from error
    if kind == "bool":
        return text.lower() == "true"
    return None if kind == "null" else text


def _at(mark: Any, message: str, remedy: str) -> DocumentFault:
    return DocumentFault(mark.line + 1, mark.column + 1, message, remedy)


def _place(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - before.rfind("\n")


_SYNTAX_REMEDIES = (
    ("'\\t'", "a tab, where YAML wants spaces", "Indent with spaces."),
    (
        "mapping values are not allowed",
        "a second colon in one line",
        "Put the text in quotes, or on the next line after '|'.",
    ),
    ("expected a single document", "a second document", "Remove the line '---' and what follows."),
    ("while scanning a quoted scalar", "a quotation mark that is never closed", "Close it."),
    ("found undefined alias", "an alias without an anchor", "Put texts that begin with * in quotes."),
    (
        "could not find expected ':'",
        "a line that belongs to nothing",
        "Add the colon after its key, or indent the line.",
    ),
    ("expected <block end>", "a line indented differently from its neighbours", "Align it with them."),
    ("cannot start any token", "a character that cannot begin a value", "Put the text in quotes."),
    ("expected ',' or", "a bracket or brace that is never closed", "Close it."),
)


def _syntax(error: yaml.MarkedYAMLError) -> DocumentFault:
    text = f"{error.context or ''}: {error.problem or ''}"
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    for sign, message, remedy in _SYNTAX_REMEDIES:
        if sign in text:
            if "never closed" in message and error.context_mark:
                line, column = error.context_mark.line + 1, error.context_mark.column + 1
            return DocumentFault(line, column, f"not YAML: {message}", remedy)
    return DocumentFault(
        line, column, f"not YAML: {error.problem}", "Compare it with: cvi persona show guide"
    )
