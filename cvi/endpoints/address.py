"""The rule for a persona's `base_url`, which the check of persona files and the client share."""

from __future__ import annotations

from urllib.parse import urlsplit

from cvi.errors import UsageError

ROUTES = ("/chat/completions", "/audio/transcriptions", "/audio/speech")


def address_fault(base_url: str) -> tuple[str, str] | None:
    """What is wrong with the address of an OpenAI-compatible API, and what to do; None for a good one.

    It is http or https and has a host; it has no query, and no route at its end.
    """
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        return "base_url is not an address", "Begin it with http:// or https://."
    for route in ROUTES:
        if parts.path.rstrip("/").endswith(route):
            return "base_url contains the route", f"Remove '{route}' from its end."
    if "?" in base_url:
        return "base_url contains a query", "Put it into default_query."
    if "#" in base_url:
        return "base_url contains a fragment", "Remove everything from '#' on."
    return None


def checked_address(layer: str, base_url: str | None) -> str:
    """The address without a trailing slash; "/v1" is added where it has no path.

    Raises UsageError, with `layer` in it, for an address that is missing or at fault.
    """
    if not base_url or not base_url.strip():
        raise UsageError(
            f"The {layer} engine 'openai' needs an address.",
            f"Set layers.{layer}.base_url, for example http://127.0.0.1:8000/v1.",
        )
    fault = address_fault(base_url)
    if fault:
        raise UsageError(f"layers.{layer}.{fault[0]}.", fault[1])
    parts = urlsplit(base_url.strip())
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"
