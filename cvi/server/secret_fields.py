"""Secrets in documents that clients change: shown as asterisks, and bound to the host they were given for.

A change is made to the document as the client sees it, so that no operation can carry a secret elsewhere.
Where asterisks still stand afterwards, the stored value is put back: the one of that very place, and only
while the address beside it leads to the same host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cvi.persona.section import MASK
from cvi.server.contract import HttpProblem

_ADDRESSES = ("base_url", "url", "endpoint")
_GONE = object()


def with_secrets(changed: Any, before: Any) -> Any:
    """The changed document with the stored secrets in the places of their asterisks.

    Asterisks where nothing is stored are left out. Raises `HttpProblem` where a secret would go to another
    host than the one it was given for.
    """
    restored = _restored(changed, before, (None, None), "")
    return {} if restored is _GONE else restored


def _restored(changed: Any, before: Any, addresses: tuple[str | None, str | None], at: str) -> Any:
    if isinstance(changed, Mapping):
        known = before if isinstance(before, Mapping) else {}
        if any(name in changed or name in known for name in _ADDRESSES):
            addresses = (_origin(changed), _origin(known))
        members = {
            key: _restored(value, known.get(key), addresses, f"{at}.{key}".lstrip("."))
            for key, value in changed.items()
        }
        return {key: value for key, value in members.items() if value is not _GONE}
    if isinstance(changed, list):
        stored = before if isinstance(before, list) else []
        items = [
            _restored(value, stored[i] if i < len(stored) else None, addresses, f"{at}.{i}")
            for i, value in enumerate(changed)
        ]
        return [item for item in items if item is not _GONE]
    if changed != MASK:
        return changed
    if not isinstance(before, str):
        return _GONE
    now, then = addresses
    if before != MASK and now is not None and now != then:
        raise HttpProblem(
            400,
            f"{at}: the address beside it leads to another host than before. Give the secret itself again.",
        )
    return before


def _origin(part: Mapping[str, Any]) -> str | None:
    """Scheme, host and port of the address in a part of a document; None where there is none."""
    address: str | None = next((part[name] for name in _ADDRESSES if isinstance(part.get(name), str)), None)
    if address is None:
        return None
    try:
        parts = urlsplit(address.strip())
        return f"{parts.scheme.lower()}://{parts.netloc.rpartition('@')[2].lower()}"
    except ValueError:
        return address
