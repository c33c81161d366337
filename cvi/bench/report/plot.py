"""The frame of a chart: marks in a stretched SVG, labels in HTML so that they stay readable on a phone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cvi.bench.report.axis import SPAN, Axis, number
from cvi.bench.report.html import Markup, join, tag

Label = tuple[float, str]


def plot(
    marks: Iterable[Markup],
    *,
    says: str,
    x: Axis,
    y: Axis,
    x_title: str,
    x_labels: Sequence[Label] | None = None,
    y_labels: Sequence[Label] | None = None,
    overlay: Iterable[Markup | None] = (),
    size: str = "",
) -> Markup:
    """One chart. `says` is what it shows, in words, for those who do not see it.

    `x_labels` and `y_labels` are (value, text), else round numbers. `overlay` is HTML over the plot.
    """
    across = [(value, number(value)) for value in x.ticks()] if x_labels is None else x_labels
    upward = [(value, number(value)) for value in y.ticks(5)] if y_labels is None else y_labels
    grid = [_line(0, y.y(value), SPAN, y.y(value), "grid") for value, _ in upward]
    return tag(
        "div",
        tag(
            "div",
            [_at("y", "top", 1 - y.share(value), text) for value, text in upward],
            class_="y-labels",
            aria_hidden="true",
        ),
        tag(
            "div",
            tag(
                "svg",
                join(grid, marks),
                viewbox=f"0 0 {SPAN:.0f} {SPAN:.0f}",
                preserveaspectratio="none",
                role="img",
                aria_label=says,
            ),
            overlay,
            class_="area",
        ),
        tag(
            "div",
            [
                _at("x minor" if number_ % 2 else "x", "left", x.share(value), text)
                for number_, (value, text) in enumerate(across)
            ],
            class_="x-labels",
            aria_hidden="true",
        ),
        tag("div", x_title, class_="x-title"),
        class_=f"plot {size}".strip(),
    )


def path(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A line through points on the plot's square."""
    drawn = " ".join(f"{x:g},{y:g}" for x, y in points)
    return tag("path", d=f"M{drawn}", class_=class_)


def steps(points: Sequence[tuple[float, float]], class_: str) -> Markup:
    """A staircase: from each point level to the next one's x, then up or down."""
    drawn = [f"M{points[0][0]:g},{points[0][1]:g}", *(f"H{x:g}V{y:g}" for x, y in points[1:])]
    return tag("path", d="".join(drawn), class_=class_)


def dots(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """Round dots, whatever the stretch: lines without length and with round ends."""
    return tag("path", d="".join(f"M{x:g},{y:g}h0" for x, y in points), class_=f"dot {class_}")


def vertical(x: float, class_: str) -> Markup:
    return _line(x, 0, x, SPAN, class_)


def horizontal(y: float, class_: str) -> Markup:
    return _line(0, y, SPAN, y, class_)


def box(x: float, y: float, width: float, height: float, class_: str) -> Markup:
    return tag("rect", x=x, y=y, width=width, height=height, class_=class_)


def legend(names: Sequence[tuple[int, str]]) -> Markup | None:
    """Which line is which side, by the side's number; None where there is but one."""
    if len(names) < 2:
        return None
    keys = [
        tag("li", tag("svg", _line(0, 5, 30, 5, f"line side-{place}"), viewbox="0 0 30 10"), name)
        for place, name in names
    ]
    return tag("ul", keys, class_="legend")


def note(text: str, x_share: float, y_share: float, class_: str = "") -> Markup:
    """A word on the plot; shares count from the left and the top."""
    style = f"left:{100 * x_share:.2f}%;top:{100 * y_share:.2f}%"
    return tag("span", text, class_=f"note {class_}".strip(), style=style)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=class_)


def _at(class_: str, edge: str, share: float, text: str) -> Markup:
    return tag("span", text, class_=class_, style=f"{edge}:{100 * share:.2f}%")
