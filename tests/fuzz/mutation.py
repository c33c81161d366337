"""Hostile variants of good inputs: of bytes, of text, and of values as JSON and YAML hold them.

Everything is drawn from one `random.Random`, so that an input is known by its seed and number.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any

ATOMS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "",
    " ", "0", "null", "\x00", "\ud800", "\u202e", "é" * 300, "a" * 70_000, "../../etc/passwd", "/dev/zero", "${HOME}",
    "~nobody/x", "http://127.0.0.1:1/", "2026-13-45T99:99:99Z", "<script>", "'; DROP TABLE x; --", [], {}, [[]], [None],
    {"": ""}, {"a": {"b": {}}}, ["a"] * 1000, "\x1b[31m", "(a+)+$", "٣", "\ufeff",
)  # fmt: skip
TOKENS: tuple[bytes, ...] = (
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\r\n", b"\n\n", b"{", b"}", b"[" * 500, b"]", b'"',
    b"\\ud800", b": ", b"- ", b"&a ", b"*a", b"!!python/object:os.system ", b"<<: ", b"|\n", b"%YAML 9.9\n", b"---\n",
    b"1e999", b"-0", b"9" * 400, b"0x", b"NaN", b"\xe2\x80\xa8", b"\x1b[2J", b"data: ", b"? ", b"\t", b"#", b"'",
)  # fmt: skip


def mutated_bytes(data: bytes, rng: random.Random, most: int = 1 << 20) -> bytes:
    """`data` with a few bytes changed, cut out, doubled, or put in; at most `most` bytes."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(out) + 1)
        length = min(rng.choice((1, 2, 4, 16, 200, 5000)), len(out) - at)
        match rng.randrange(7):
            case 0:
                del out[at : at + length]
            case 1:
                out[at:at] = rng.choice(TOKENS)
            case 2:
                out[at:at] = out[at : at + length] * rng.choice((1, 2, 20))
            case 3 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 4:
                out[at : at + length] = rng.randbytes(length)
            case 5:
                out[at : at + 4] = rng.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF)).to_bytes(
                    4, rng.choice(("big", "little"))
                )
            case 6 if rng.random() < 0.3:
                del out[at:]
    return bytes(out[:most])


def mutated_value(value: Any, rng: random.Random) -> Any:
    """`value` with a few of its parts replaced, removed, renamed, repeated or put deeper."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 2, 4))):
        holder = {"": value}
        places = list(_places(holder))
        parent, key = rng.choice(places)
        match rng.randrange(8):
            case 0 | 1 | 2:
                parent[key] = copy.deepcopy(rng.choice(ATOMS))
            case 3 if parent is not holder:
                del parent[key]
            case 4:
                other, at = rng.choice(places)
                parent[key] = copy.deepcopy(other[at])
            case 5:
                for _ in range(rng.choice((1, 3, 60))):
                    parent[key] = {"a": parent[key]} if rng.random() < 0.5 else [parent[key]]
            case 6 if isinstance(parent, dict) and parent is not holder:
                parent[rng.choice(("", "a", "__proto__", "\ud800", "x" * 5000, f"{key} "))] = parent.pop(key)
            case 7 if isinstance(parent, list):
                parent.extend([parent[key]] * rng.choice((1, 50)))
        value = holder[""]
    return value


def json_bytes(value: Any, rng: random.Random) -> bytes:
    """The value as JSON; now and then damaged as bytes too, or not in UTF-8."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.7)
    data = text.encode("utf-16" if rng.random() < 0.01 else "utf-8", "surrogatepass")
    return mutated_bytes(data, rng) if rng.random() < 0.2 else data


def _places(value: Any) -> Any:
    keys = value if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
