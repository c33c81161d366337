"""JSON Patch (RFC 6902) by the library `jsonpatch`, within limits on operations, growth, depth and time.

Two liberties are taken, because shipped clients take them with the service they were written for: `replace`
of a member that is missing adds it, and objects on the way to a member are made. A list is never made.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from jsonpatch import JsonPatchException, PatchOperation, apply_patch, path_join, path_split
from jsonpointer import JsonPointerException

from cvi.server.json_bodies import MAX_DEPTH, MAX_VALUES
from cvi.untrusted import Size, size_of

MAX_OPERATIONS = 500
MAX_CHARS = 4 << 20
"""Of all texts and keys of the result: as many as the body of a request may have bytes."""
MAX_SECONDS = 2.0
KINDS = ("add", "remove", "replace", "move", "copy", "test")


class PatchError(ValueError):
    """A patch that cannot be applied; says which operation and why."""


Spelling = Callable[[tuple[str, ...], dict[str, Any], str], str]
"""Where (path so far), in which object, and a key of the patch -> the key that is meant."""


def patched(
    document: Any,
    patch: Any,
    spelling: Spelling = lambda path, node, key: key,
    clock: Callable[[], float] = time.monotonic,
) -> Any:
    """The patched copy; the document itself stays as it is. May take seconds: call it on a thread.

    Raises `PatchError`, also for a patch whose result would have more than `MAX_VALUES` values or `MAX_CHARS`
    characters, or be nested deeper than `MAX_DEPTH`; nothing larger is ever built.
    """
    if not isinstance(patch, list):
        raise PatchError("A JSON Patch is a list of operations.")
    if len(patch) > MAX_OPERATIONS:
        raise PatchError(f"A JSON Patch holds at most {MAX_OPERATIONS} operations.")
    result = copy.deepcopy(document)
    before = size_of(result)
    values, chars = MAX_VALUES - before.values, MAX_CHARS - before.chars
    until = clock() + MAX_SECONDS
    for number, given in enumerate(patch):
        try:
            if clock() > until:
                raise PatchError(f"the patch takes longer than {MAX_SECONDS:g} s.")
            operation = _operation(given, result, spelling)
            more = _growth(operation, result)
            values, chars = values - more.values, chars - more.chars
            if values < 0 or chars < 0:
                most = f"{MAX_VALUES} values" if values < 0 else f"{MAX_CHARS} characters"
                raise PatchError(f"the result would hold more than {most}.")
            result = apply_patch(result, [operation], in_place=True)
        except PatchError as fault:
            raise PatchError(f"Operation {number}: {fault}") from None
        except (JsonPatchException, JsonPointerException, TypeError, KeyError, RecursionError) as fault:
            raise PatchError(f"Operation {number}: {_words(fault)}") from None
    return result


def _operation(given: Any, root: Any, spelling: Spelling) -> dict[str, Any]:
    """The operation with the document's own spellings, and the two liberties taken; makes missing objects."""
    if not isinstance(given, dict):
        raise PatchError("it is no object.")
    kind = given.get("op")
    if kind not in KINDS:
        raise PatchError(f"'{str(kind)[:40]}' is no operation: use {', '.join(KINDS)}.")
    operation = dict(given)
    for name in ("path", "from"):
        if name == "path" or kind in ("move", "copy"):
            operation[name] = path_join(_meant(_pointer(given, name), root, spelling))
    if kind in ("add", "replace"):
        parts = path_split(operation["path"])
        parent = _make_objects(parts, root)
        if kind == "replace" and isinstance(parent, dict) and parts[-1] not in parent:
            operation["op"] = "add"
    return operation


def _pointer(operation: dict[str, Any], name: str) -> tuple[str, ...]:
    text = operation.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"'{name}' is no JSON Pointer: it begins with a slash.")
    parts = path_split(text)
    if len(parts) > MAX_DEPTH:
        raise PatchError(f"'{name}' leads deeper than {MAX_DEPTH} levels.")
    return parts


def _meant(parts: tuple[str, ...], root: Any, spelling: Spelling) -> tuple[str, ...]:
    node = root
    walked: tuple[str, ...] = ()
    for part in parts:
        key = spelling(walked, node, part) if isinstance(node, dict) else part
        walked += (key,)
        node = _child(node, key)
    return walked


def _child(node: Any, key: str) -> Any:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list) and key.isdecimal() and len(key) < 9 and int(key) < len(node):
        return node[int(key)]
    return None


def _make_objects(parts: tuple[str, ...], root: Any) -> Any:
    """Make missing objects before the last part, unless a list is meant; returns the last one's parent."""
    node = root
    for part, following in pairwise(parts):
        if isinstance(node, dict) and part not in node and not (following == "-" or following.isdecimal()):
            node[part] = {}
        node = _child(node, part)
    return node if parts else None


def _growth(operation: dict[str, Any], root: Any) -> Size:
    """How much the operation adds at most. Raises PatchError where it would nest too deep."""
    if operation["op"] not in ("add", "replace", "copy", "move"):
        return Size(0, 0, 0)
    value = operation.get("value")
    if operation["op"] in ("copy", "move"):
        value = root
        for part in path_split(operation["from"]):
            value = _child(value, part)
    size = size_of(value)
    if len(path_split(operation["path"])) + size.depth > MAX_DEPTH:
        raise PatchError(f"the result would be nested deeper than {MAX_DEPTH} levels.")
    key = len(operation["path"])  # its last part, at most
    return Size(0, 0, key) if operation["op"] == "move" else replace(size, chars=size.chars + key)


def _words(fault: Exception) -> str:
    text = str(fault.args[0]) if fault.args else type(fault).__name__
    if isinstance(fault, JsonPatchException) and isinstance(getattr(fault, "op", None), PatchOperation):
        text = f"{text} (at '{fault.op.location}')"
    return f"{text[:200].rstrip('.')}."
