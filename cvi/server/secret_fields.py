"""Secrets in documents that clients change: shown as asterisks, and bound to the host they were given for.

A change is made to the document as the client sees it, so that no operation can carry a secret elsewhere.
Where asterisks still stand afterwards, the stored value is put back: the one of that very place, and only
while the addresses beside and around it lead to the same hosts. An item of a list that is as it was shown
keeps its own secrets, wherever in the list it stands now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cvi.persona.section import MASK, masked
from cvi.server.contract import HttpProblem

_ADDRESSES = ("base_url", "url", "endpoint", "token_url")
_GONE = object()
Origins = Mapping[str, str]
"""Name of a field -> scheme, host and port of the address in it."""


def with_secrets(changed: Any, before: Any) -> Any:
    """The changed document with the stored secrets in the places of their asterisks.

    Asterisks where nothing is stored are left out. Raises `HttpProblem` where a secret would go to another
    host than the one it was given for.
    """
    restored = _restored(changed, before, ({}, {}), "")
    return {} if restored is _GONE else restored


def _restored(changed: Any, before: Any, addresses: tuple[Origins, Origins], at: str) -> Any:
    if isinstance(changed, Mapping):
        known = before if isinstance(before, Mapping) else {}
        addresses = ({**addresses[0], **_origins(changed)}, {**addresses[1], **_origins(known)})
        members = {
            key: _restored(value, known.get(key), addresses, f"{at}.{key}".lstrip("."))
            for key, value in changed.items()
        }
        return {key: value for key, value in members.items() if value is not _GONE}
    if isinstance(changed, list):
        stored = before if isinstance(before, list) else []
        as_shown = masked(stored)
        items = [
            _restored(value, _counterpart(value, i, stored, as_shown), addresses, f"{at}.{i}")
            for i, value in enumerate(changed)
        ]
        return [item for item in items if item is not _GONE]
    if changed != MASK:
        return changed
    if not isinstance(before, str):
        return _GONE
    now, then = addresses
    if before != MASK and any(then.get(name) != origin for name, origin in now.items()):
        raise HttpProblem(
            400,
            f"{at}: the address beside it leads to another host than before. Give the secret itself again.",
        )
    return before


def _counterpart(value: Any, index: int, stored: list[Any], as_shown: list[Any]) -> Any:
    """The stored item that a changed one stands for: the one that is shown so, else the one of its place."""
    if index < len(stored) and as_shown[index] == value:
        return stored[index]
    same = next((i for i, shown in enumerate(as_shown) if shown == value), index)
    return stored[same] if same < len(stored) else None


def _origins(part: Mapping[str, Any]) -> Origins:
    given = {name: part[name] for name in _ADDRESSES if isinstance(part.get(name), str)}
    return {name: _origin(address) for name, address in given.items() if address != MASK}


def _origin(address: str) -> str:
    try:
        parts = urlsplit(address.strip())
        return f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}"
    except ValueError:
        return address
