"""The parts of a run's page, each empty where the run holds nothing for it."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cvi.bench.report.analysis import RunAnalysis
from cvi.bench.report.axis import number, signed
from cvi.bench.report.courses import course_charts, course_table
from cvi.bench.report.distribution import scatter, tail
from cvi.bench.report.html import Markup, section, tag
from cvi.bench.report.tables import facts, percentile_table, table
from cvi.bench.report.timeline import timelines
from cvi.bench.run import Agreement, Variant

_MOST_GAPS = 20


def course_section(analysis: RunAnalysis) -> Markup | None:
    if not analysis.courses:
        return None
    return section(
        "Over time",
        "Points are medians of short spans. The shaded beginning is warm-up and does not count; the line "
        "after it is the robust slope (Theil and Sen). “Flat” means that the whole 95 % interval of "
        "the slope lies within what is forgiven; “then level”, that it was so in the second half.",
        course_charts(analysis.courses),
        course_table(analysis.courses),
    )


def account_section(analysis: RunAnalysis) -> Markup | None:
    rows = [
        (place, variant.variant.name, one)
        for name in dict.fromkeys(one.figure.name for variant in analysis.variants for one in variant.account)
        for place, variant in enumerate(analysis.variants)
        if (one := variant.of(name)) is not None
    ]
    if not rows:
        return None
    return section(
        "The program’s own account",
        "From its journal, in ms after the end of speech as it saw it. Drafting lets text, words and voice "
        "come before the floor passes.",
        percentile_table("Steps of an answer", rows, len(analysis.variants)),
        _agreement_table(analysis.run.agreement),
    )


def timeline_section(analysis: RunAnalysis) -> Markup | None:
    variants = [variant.variant for variant in analysis.variants if variant.variant.turns]
    if not variants:
        return None
    counts = [f"{variant.name}: {_outcomes(variant)}" for variant in variants]
    return section(
        "Turn by turn",
        [f"Zero is the true end of the caller’s speech. Open a turn for its lanes. {'; '.join(counts)}."],
        timelines([variant.variant for variant in analysis.variants]),
    )


def playout_section(analysis: RunAnalysis) -> Markup | None:
    variants = [variant.variant for variant in analysis.variants if _was_shown(variant.variant)]
    if not variants:
        return None
    timed = [variant for variant in variants if variant.playout.lateness_ms]
    fps = next((variant.playout.fps for variant in timed if variant.playout.fps), 0.0)
    curve = None
    if timed and fps:
        names = [variant.name for variant in timed]
        curve = tail(names, [s.playout.lateness_ms for s in timed], 1000 / fps, "a frame’s time")
    synced = [
        (variant.name, [(point.at_s, point.offset_ms) for point in variant.playout.sync])
        for variant in variants
        if variant.playout.sync
    ]
    points = (
        scatter(synced, says="Picture after sound, in ms, over the session.",
                x_title="minutes; picture after sound", unit="ms")
        if synced
        else None
    )  # fmt: skip
    return section(
        "Frames and sound",
        "How late frames were handed over, how many came too late, and whether mouth and voice agree.",
        tag("div", [part for part in (curve, points) if part is not None], class_="curves"),
        _playout_table(variants),
        _gap_table(variants),
    )


def origin_section(analysis: RunAnalysis) -> Markup:
    run = analysis.run
    cost = run.own_cost
    own = (
        f"{cost.probe_cpu_s:.1f} s of processor time in {cost.wall_s:.0f} s, "
        f"{100 * cost.share:.1f} % of the process’s"
        if cost.wall_s
        else None
    )
    about = [
        ("command", tag("code", _command(run.command))),
        ("began", run.began),
        ("took", f"{run.duration_s / 60:.1f} min"),
        ("measuring took", own),
        ("options", _listed(run.options)),
        *(
            (one.variant.name, " · ".join(filter(None, (one.variant.about, _listed(one.variant.engines)))))
            for one in analysis.variants
        ),
        ("files", ", ".join(run.files)),
    ]  # fmt: skip
    machine = [(key.replace("_", " "), _shown(value)) for key, value in run.fingerprint.items()]
    return section(
        "Made on",
        None,
        facts([(name, value) for name, value in about if value]),
        facts([(name, value) for name, value in machine if value]),
    )


def _command(words: Sequence[str]) -> str:
    """As it was typed, but for the name of whoever typed it."""
    return shlex.join(words).replace(str(Path.home()), "~")


def _agreement_table(checks: Sequence[Agreement]) -> Markup | None:
    if not checks:
        return None
    rows = [
        [
            tag("span", f"{check.quantity.replace('_', ' ')} ", tag("small", check.variant)),
            f"{signed(check.median_ms)} ms",
            f"{signed(check.worst_ms)} ms",
            f"±{number(check.tolerance_ms)} ms",
            f"{check.outside} of {check.n}",
            f"{100 * check.allowed_share:.0f} %",
            tag(
                "span",
                "agrees" if check.ok else "differs",
                class_=f"verdict {'flat' if check.ok else 'worse'}",
            ),
        ]
        for check in checks
    ]
    head = ["", "median difference", "largest", "tolerance", "outside", "may be outside", ""]
    return table("The journal against what was measured", head, rows)


def _playout_table(variants: Sequence[Variant]) -> Markup:
    rows = []
    for variant in variants:
        playout = variant.playout
        drift = playout.drift_ms_per_min
        rows.append(
            [
                variant.name,
                f"{playout.frames:,}",
                f"{playout.late:,}",
                f"{playout.dropped:,}",
                f"{playout.frozen:,}",
                str(len(playout.gaps)),
                f"{signed(playout.sync_ms)} ms" if playout.sync_ms is not None else "–",
                tag(
                    "span",
                    f"{signed(drift[0])} ms",
                    tag("small", f"{signed(drift[1])} to {signed(drift[2])}", class_="interval"),
                )
                if drift is not None
                else "–",
            ]
        )
    head = ["", "frames", "late", "dropped", "frozen", "gaps", "picture after sound", "drift a minute"]
    return table("Playout; late is by more than a frame period", head, rows)


def _gap_table(variants: Sequence[Variant]) -> Markup | None:
    gaps = [(variant.name, gap) for variant in variants for gap in variant.playout.gaps]
    if not gaps:
        return None
    rows = [
        [name, gap.session, f"{gap.at_s:.2f} s", f"{number(gap.length_ms)} ms"]
        for name, gap in gaps[:_MOST_GAPS]
    ]
    more = f"; the first {_MOST_GAPS} of {len(gaps)}" if len(gaps) > _MOST_GAPS else ""
    return table(f"Gaps in the voice{more}", ["", "session", "at", "length"], rows)


def _was_shown(variant: Variant) -> bool:
    return variant.playout.frames > 0 or bool(variant.playout.gaps)


def _outcomes(variant: Variant) -> str:
    counts = Counter(turn.outcome for turn in variant.turns)
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common())


def _listed(pairs: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{key} {_shown(value)}" for key, value in pairs.items() if value not in (None, "", False)
    )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
