"""HTML and SVG as nested calls; what is not markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = frozenset({"meta", "br", "path", "line", "rect", "circle", "col"})


class Markup(str):
    """Text that is markup and is put in as it stands."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"
Attribute = str | float | bool | None


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """An element. `class_` is class, `aria_label` aria-label; None and False leave an attribute out.

    >>> tag("p", "a < b", tag("b", "c"), class_="note")
    '<p class="note">a &lt; b<b>c</b></p>'
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    inner = join(*children)
    if name in _VOID and not inner:
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{inner}</{name}>")


def section(title: str, lead: Child, *content: Child) -> Markup:
    """A titled part; `lead` says in a sentence or two how to read it."""
    return tag("section", tag("h2", title), tag("p", lead, class_="lead") if lead else None, content)


def join(*children: Child) -> Markup:
    """Children in order; strings are escaped, iterables unrolled, None left out."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escape(child, quote=False))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if name == "viewbox":
        name = "viewBox"
    elif name == "preserveaspectratio":
        name = "preserveAspectRatio"
    text = name if value is True else f"{value:.4g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
