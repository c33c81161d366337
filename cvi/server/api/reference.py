"""`/docs`: the API to read, made from its OpenAPI document. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

router = APIRouter(include_in_schema=False)
_METHODS = ("get", "post", "put", "patch", "delete")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Written anew at each request: it is asked for rarely, and takes milliseconds."""
    return HTMLResponse(page(request.app.openapi()))


def page(document: Mapping[str, Any]) -> str:
    """The HTML of an OpenAPI document: routes by tag, parameters and bodies in tables."""
    schemas = document.get("components", {}).get("schemas", {})
    routes_by_tag: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                about = item[method]
                tag = (about.get("tags") or ["other"])[0]
                routes_by_tag.setdefault(tag, []).append("".join(_route(method, path, about, schemas)))
    title = f"{escape(document['info']['title'])} {escape(document['info']['version'])}"
    jumps = " · ".join(f'<a href="#{_anchor(tag)}">{escape(tag)}</a>' for tag in routes_by_tag)
    parts = [
        f'<section id="{_anchor(tag)}"><h2>{escape(tag)}</h2>{"".join(routes)}</section>'
        for tag, routes in routes_by_tag.items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}: API</title>"
        '<link rel="stylesheet" href="/static/pages/reference.css"></head><body>'
        f"<header><h1>{title}</h1><p>{escape(document['info'].get('summary', ''))} Both vocabularies are "
        "read and answered: persona and pal, replica and face. Paths are served with and without a slash at "
        f'their end. For machines: <a href="/openapi.json">openapi.json</a>.</p><nav>{jumps}</nav></header>'
        f"<main>{''.join(parts)}</main></body></html>"
    )


def _route(method: str, path: str, about: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    description = about.get("description", "")
    yield f'<details><summary><b class="{method}">{method.upper()}</b> <code>{escape(path)}</code> '
    yield f"<span>{escape(about.get('summary', ''))}</span></summary>"
    if description:
        yield f"<p>{escape(description)}</p>"
    rows = [
        (field["name"], field["in"], field.get("required", False), field.get("schema", {}))
        for field in about.get("parameters", [])
    ]
    body = about.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    rows += list(_fields("body", body, schemas)) if body else []
    if rows:
        yield "<table><tr><th>field</th><th>in</th><th>type</th><th>meaning</th></tr>"
        for name, place, required, schema in rows:
            star = " *" if required else ""
            yield f"<tr><td><code>{escape(name)}</code>{star}</td><td>{escape(place)}</td>"
            yield f"<td>{escape(_kind(schema, schemas))}</td><td>{escape(_meaning(schema))}</td></tr>"
        yield "</table>"
    statuses = ", ".join(status for status in about.get("responses", {}))
    yield f"<p>Answers: {escape(statuses)}</p></details>"


def _fields(
    place: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[tuple[str, str, bool, Mapping[str, Any]]]:
    found = _resolved(schema, schemas)
    required = found.get("required", [])
    for name, field in found.get("properties", {}).items():
        yield name, place, name in required, field
        inner = _resolved(field, schemas)
        if inner.get("properties") and inner is not found:
            yield from _fields(f"{place}.{name}", inner, schemas)


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return _resolved(choice, schemas)
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return schemas.get(name, schema) if name else schema


def _kind(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    found = _resolved(schema, schemas)
    if "enum" in found:
        return " | ".join(str(value) for value in found["enum"])
    if found.get("type") == "array":
        return f"list of {_kind(found.get('items', {}), schemas)}"
    kind = str(found.get("type", "any"))
    limits = [
        f"{sign} {found[key]}"
        for key, sign in (("minimum", "≥"), ("maximum", "≤"), ("maxLength", "length ≤"))
        if key in found
    ]
    return f"{kind} ({', '.join(limits)})" if limits else kind


def _meaning(schema: Mapping[str, Any]) -> str:
    meaning = str(schema.get("description", ""))
    usual = schema.get("default")
    if usual not in (None, "", [], {}, False):
        meaning = f"{meaning} Default: {usual}."
    return meaning.strip()


def _anchor(tag: str) -> str:
    return escape(tag.replace(" ", "-"), quote=True)
