"""JSON bodies as RFC 8259 has them (no NaN, no lone surrogates), and JSON Patch (RFC 6902).

The patch takes one liberty, because shipped clients take it with the service they were written for: `replace`
of a member that is missing adds it, and objects on the way to a member are made.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from cvi.server.contract import HttpProblem


class JsonRoute(APIRoute):
    """A route whose body is read by `read_json`, whatever its content type says."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with the body checked first."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method in ("POST", "PUT", "PATCH", "DELETE"):
                body = await request.body()
                if body:
                    read_json(body)
                    # Some clients send JSON and do not say so.
                    if "json" not in request.headers.get("content-type", ""):
                        _say_json(request)
            return await handle(request)

        return checked


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Raises `HttpProblem` with what is wrong."""
    try:
        value = json.loads(body, parse_constant=_no_constant)
        # A number too large, or half of a surrogate pair: they parse, and can be neither stored nor sent.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        text = str(error) if isinstance(error, json.JSONDecodeError) else "it holds what JSON cannot say"
        raise HttpProblem(400, f"The body is not JSON: {text}.") from None
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _say_json(request: Request) -> None:
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-type"]
    request.scope["headers"] = [*headers, (b"content-type", b"application/json")]
    request.__dict__.pop("_headers", None)


MAX_OPERATIONS = 500


class PatchError(ValueError):
    """A patch that cannot be applied; says which operation and why."""


Spelling = Callable[[tuple[str, ...], dict[str, Any], str], str]
"""Where (path so far), in which object, and a key of the patch -> the key that is meant."""


def apply_patch(document: Any, patch: Any, spelling: Spelling | None = None) -> Any:
    """The patched copy; the document itself stays as it is. Raises `PatchError`."""
    if not isinstance(patch, list):
        raise PatchError("A JSON Patch is a list of operations.")
    if len(patch) > MAX_OPERATIONS:
        raise PatchError(f"A JSON Patch holds at most {MAX_OPERATIONS} operations.")
    result = copy.deepcopy(document)
    for number, operation in enumerate(patch):
        try:
            result = _apply(result, operation, spelling or (lambda path, node, key: key))
        except PatchError as fault:
            raise PatchError(f"Operation {number}: {fault}") from None
    return result


def _apply(root: Any, operation: Any, spelling: Spelling) -> Any:
    if not isinstance(operation, dict):
        raise PatchError("it is no object.")
    kind = operation.get("op")
    path = _pointer(operation, "path")
    if kind in ("add", "replace", "test"):
        if "value" not in operation:
            raise PatchError(f"'{kind}' needs a value.")
        value = copy.deepcopy(operation["value"])
        if kind == "test":
            if not _equal(_get(root, path, spelling), value):
                raise PatchError(f"the value at '{operation['path']}' is another one.")
            return root
        return _set(root, path, value, spelling, insert=kind == "add")
    if kind == "remove":
        return _remove(root, path, spelling)
    if kind in ("move", "copy"):
        source = _pointer(operation, "from")
        if kind == "move" and len(source) < len(path) and path[: len(source)] == source:
            raise PatchError("a value cannot be moved into itself.")
        value = copy.deepcopy(_get(root, source, spelling))
        if kind == "move":
            root = _remove(root, source, spelling)
        return _set(root, path, value, spelling, insert=True)
    raise PatchError(f"'{kind}' is no operation: use add, remove, replace, move, copy or test.")


def _pointer(operation: dict[str, Any], name: str) -> list[str]:
    """RFC 6901: "/a~1b/0" -> ["a/b", "0"]."""
    text = operation.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"'{name}' is no JSON Pointer: it begins with a slash.")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _get(root: Any, path: Sequence[str], spelling: Spelling) -> Any:
    node: Any = root
    walked: tuple[str, ...] = ()
    for part in path:
        node, walked = _step(node, part, walked, spelling)
    return node


def _step(node: Any, part: str, walked: tuple[str, ...], spelling: Spelling) -> tuple[Any, tuple[str, ...]]:
    if isinstance(node, dict):
        key = spelling(walked, node, part)
        if key in node:
            return node[key], (*walked, key)
    elif isinstance(node, list):
        return node[_index(part, len(node) - 1)], (*walked, part)
    raise PatchError(f"there is nothing at '/{'/'.join((*walked, part))}'.")


def _set(root: Any, path: Sequence[str], value: Any, spelling: Spelling, *, insert: bool) -> Any:
    if not path:
        return value
    node: Any = root
    walked: tuple[str, ...] = ()
    for part in path[:-1]:
        if isinstance(node, dict):
            node.setdefault(spelling(walked, node, part), {})
        node, walked = _step(node, part, walked, spelling)
    last = path[-1]
    if isinstance(node, dict):
        node[spelling(walked, node, last)] = value
    elif isinstance(node, list):
        if insert:
            node.insert(len(node) if last == "-" else _index(last, len(node)), value)
        else:
            node[_index(last, len(node) - 1)] = value
    else:
        raise PatchError(f"'/{'/'.join(walked)}' holds no members.")
    return root


def _remove(root: Any, path: Sequence[str], spelling: Spelling) -> Any:
    if not path:
        raise PatchError("the whole document cannot be removed.")
    parent = _get(root, path[:-1], spelling)
    walked = tuple(path[:-1])
    if isinstance(parent, dict):
        key = spelling(walked, parent, path[-1])
        if key not in parent:
            raise PatchError(f"there is nothing at '/{'/'.join(path)}'.")
        del parent[key]
    elif isinstance(parent, list):
        del parent[_index(path[-1], len(parent) - 1)]
    else:
        raise PatchError(f"there is nothing at '/{'/'.join(path)}'.")
    return root


def _index(part: str, last: int) -> int:
    if not part.isascii() or not part.isdigit() or (len(part) > 1 and part[0] == "0") or len(part) > 9:
        raise PatchError(f"'{part}' is no place in a list.")
    if int(part) > last:
        raise PatchError(f"the list ends before place {part}.")
    return int(part)


def _equal(one: Any, other: Any) -> bool:
    """JSON equality: unlike Python's, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
