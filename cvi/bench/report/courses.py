"""A soak's series as small charts: the warm-up shaded, the slope after it drawn, the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence

from cvi.bench.report.axis import SPAN, around, number, signed
from cvi.bench.report.html import Markup, tag
from cvi.bench.report.plot import box, dots, path, plot
from cvi.bench.report.tables import table
from cvi.bench.soak.series import SeriesVerdict


def verdict_words(course: SeriesVerdict) -> str:
    """The verdict for people: "flat", "rose by 70 MiB, then level", "undecided: a longer run can tell"."""
    trend = course.trend
    if trend is None:
        return "too short"
    if trend.verdict == "levelled":
        return f"rose by {with_unit(trend.rise, course.watched.unit)}, then level"
    return "undecided: a longer run can tell" if trend.verdict == "undecided" else trend.verdict


def course_charts(found: Sequence[SeriesVerdict]) -> Markup:
    """One small chart a series."""
    return tag("div", [_chart(course) for course in found], class_="small-multiples")


def course_table(found: Sequence[SeriesVerdict]) -> Markup:
    """Levels, slopes and verdicts."""
    rows = []
    for course in found:
        trend, unit = course.trend, course.watched.unit
        if trend is None:
            rows.append([course.watched.label, "", "", "", "", _verdict(course)])
            continue
        rows.append(
            [
                course.watched.label,
                with_unit(trend.level, unit),
                with_unit(max(course.values), unit),
                tag(
                    "span",
                    signed(trend.slope),
                    tag("small", f"{signed(trend.low)} to {signed(trend.high)}", class_="interval"),
                ),
                f"±{number(trend.tolerance)}",
                _verdict(course),
            ]
        )
    return table(
        "What was watched, after the warm-up; slopes are per hour, with their 95 % intervals, and where "
        "something rose and then stayed, of the second half.",
        ["", "median", "peak", "slope per hour", "counts as flat", "verdict"],
        rows,
    )


def with_unit(value: float, unit: str) -> str:
    return f"{number(value)} {unit}".strip()


def _verdict(course: SeriesVerdict) -> Markup:
    verdict = course.trend.verdict if course.trend else "undecided"
    return tag("span", verdict_words(course), class_=f"verdict {verdict.replace(' ', '-')}")


def _chart(course: SeriesVerdict) -> Markup:
    watched, trend = course.watched, course.trend
    x = around(0.0, max(course.at_s) / 60)
    low, high = min(course.values), max(course.values)
    # Not from zero, or a leak of a few percent would be a flat line; but never so near that noise is a slope.
    room = max((high - low) * 0.25, 0.04 * abs(high), 0.5 if course.watched.unit else 2.0)
    y = around(max(0.0, low - room) if low >= 0 else low - room, high + room, 4)
    points = [(x.x(at / 60), y.y(value)) for at, value in zip(course.at_s, course.values, strict=True)]
    marks = [box(0, 0, x.x(course.warm_up_s / 60), SPAN, "warm-up"), path(points, "line side-0")]
    marks.append(dots(points, "small side-0"))
    if trend is not None:
        begin, end = trend.since_s, max(course.at_s)
        middle = (begin + end) / 2
        ends = [(at, trend.level + trend.slope * (at - middle) / 3600) for at in (begin, end)]
        marks.append(path([(x.x(at / 60), y.y(value)) for at, value in ends], f"trend {trend.verdict}"))
    return tag(
        "figure",
        tag("figcaption", tag("b", watched.label), _verdict(course), tag("small", watched.about)),
        plot(
            marks,
            says=f"{watched.label} over {number(x.high)} minutes: {verdict_words(course)}.",
            x=x,
            y=y,
            x_title=f"minutes{f'; {watched.unit}' if watched.unit else ''}",
            size="small",
        ),
    )
