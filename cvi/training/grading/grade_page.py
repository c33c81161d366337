"""A grade as one HTML page with its pictures in it, and as data for machines."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cvi.files import replacing
from cvi.training.footage.reader import Footage
from cvi.training.footage.spans import Span
from cvi.training.grading.faults import FootageFault, FootageGrade

THUMB_WIDTH = 200
MOST_THUMBS = 4
_VERDICTS = {
    "good": "Good: train with it.",
    "usable": "Usable: training works around what is wrong, and the replica will show some of it.",
    "unusable": "Unusable: no replica worth having comes of this footage.",
}


def grade_as_data(grade: FootageGrade) -> dict[str, Any]:
    """The grade for JSON, each fault with its title, effect and remedy."""
    data = asdict(grade)
    for fault, row in zip(grade.faults, data["faults"], strict=True):
        about = fault.about
        row |= {"title": about.title, "effect": about.effect, "remedy": about.remedy}
        row["said"] = row.pop("message")
        row["spans"] = [[round(a, 2), round(b, 2)] for a, b in fault.spans]
        row["value"] = round(fault.value, 4)
    for name in ("clean", "speech", "stills"):
        data[name] = [[round(a, 2), round(b, 2)] for a, b in data[name]]
    return data


def clock(time_s: float) -> str:
    """Seconds as minutes: 7.4 -> 0:07.4."""
    tenths = round(time_s * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def format_spans(spans: Iterable[Span], duration_s: float, most: int = 6) -> str:
    """Spans in words, at most `most` of them: "0:03.2–0:05.0, 0:09.1", or "all of it"."""
    parts: list[str] = []
    found = list(spans)
    if len(found) == 1 and found[0][0] <= 0.05 and found[0][1] >= duration_s - 0.05:
        return "all of it"
    for start_s, end_s in found[:most]:
        parts.append(clock(start_s) if end_s - start_s < 0.05 else f"{clock(start_s)}–{clock(end_s)}")
    more = len(found) - most
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def grade_page(grade: FootageGrade, footage: Footage) -> str:
    """The HTML page. Decodes a few frames of the film for its pictures."""
    shown = "".join(_fault(fault, grade, footage) for fault in grade.faults)
    if not grade.faults:
        shown = "<p>No fault was found.</p>" + _pictures(footage, _moments(((0.0, grade.duration_s),)))
    title = f"{escape(grade.film)}: {grade.verdict}"
    sizes = f"{clock(grade.duration_s)} · {grade.width}×{grade.height} · {grade.fps:.4g} frames a second"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f'<body><main><header class="{grade.verdict}"><h1>{escape(grade.film)}</h1>'
        f"<p>{_VERDICTS[grade.verdict]}</p><small>{sizes}</small></header>"
        f"{_timeline(grade)}{shown}{_figures(grade)}"
        f"<footer>sha256 {grade.sha256} · {escape(grade.tracker)}</footer></main></body></html>\n"
    )


def _fault(fault: FootageFault, grade: FootageGrade, footage: Footage) -> str:
    about = fault.about
    return (
        f'<section class="{"fatal" if fault.fatal else "fault"}"><h2>{escape(about.title)}</h2>'
        f'<p class="when">{escape(format_spans(fault.spans, grade.duration_s))}</p>'
        f"<p>{escape(fault.message)} {escape(about.effect)}</p>"
        f'<p class="remedy">{_typed(about.remedy)}</p>{_pictures(footage, _moments(fault.spans))}</section>'
    )


def _typed(text: str) -> str:
    """Text with commands between backticks -> HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _moments(spans: Iterable[Span]) -> list[float]:
    """The middles of the first stretches; of one long stretch, some moments in it; both sides of a cut."""
    found = list(spans)
    if len(found) == 1 and found[0][1] - found[0][0] > 8.0:
        start_s, end_s = found[0]
        return [start_s + (end_s - start_s) * (n + 0.5) / MOST_THUMBS for n in range(MOST_THUMBS)]
    if found and found[0][1] - found[0][0] < 0.05:
        sides = [(max(cut - 0.06, 0.0), cut + 0.02) for cut, _ in found[: MOST_THUMBS // 2]]
        return [time_s for both in sides for time_s in both]
    return [(start_s + end_s) / 2 for start_s, end_s in found[:MOST_THUMBS]]


def _pictures(footage: Footage, moments: list[float]) -> str:
    shown = []
    for time_s in moments:
        frame = next(footage.frames(25.0, start_s=time_s, end_s=time_s + 0.5, most_side_px=640), None)
        if frame is None:
            continue
        height, width = frame.rgb.shape[:2]
        size = (THUMB_WIDTH, max(round(height * THUMB_WIDTH / width), 1))
        small = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", np.ascontiguousarray(small[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 80])
        source = base64.b64encode(bytes(data)).decode()
        label = clock(frame.time_s)
        shown.append(
            f'<figure><img src="data:image/jpeg;base64,{source}" width="{size[0]}" height="{size[1]}" '
            f'alt="The film at {label}"><figcaption>{label}</figcaption></figure>'
        )
    return f'<div class="pictures">{"".join(shown)}</div>' if shown else ""


def _timeline(grade: FootageGrade) -> str:
    """One row for speech, stillness, clean footage and each fault, time from left to right."""
    rows = [("speech", grade.speech), ("still", grade.stills), ("clean", grade.clean)]
    rows += [(fault.kind, fault.spans) for fault in grade.faults]
    whole = max(grade.duration_s, 0.1)
    cells = []
    for name, spans in rows:
        kind = name if name in ("speech", "still", "clean") else "bad"
        label = escape(name.replace("_", " "))
        bars = "".join(
            f'<rect class="{kind}" x="{1000 * start_s / whole:.1f}" y="0" '
            f'width="{max(1000 * (end_s - start_s) / whole, 3.0):.1f}" height="10"/>'
            for start_s, end_s in spans
        )
        cells.append(
            f'<span>{label}</span><svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" '
            f'aria-label="{label}: {escape(format_spans(spans, grade.duration_s)) or "nowhere"}">{bars}</svg>'
        )
    ends = f'<span></span><span class="ends"><span>0:00</span><span>{clock(whole)}</span></span>'
    return f'<div class="timeline">{"".join(cells)}{ends}</div>'


def _figures(grade: FootageGrade) -> str:
    rows = "".join(
        f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{value:g}</td></tr>"
        for name, value in grade.figures.items()
    )
    return f"<details><summary>What was measured</summary><table>{rows}</table></details>"


def write_page(grade: FootageGrade, footage: Footage, to: Path) -> None:
    """Write the page, whole or not at all. Raises CviError where the disk or the folder does not allow it."""
    with replacing(to, remedy="Choose another folder.") as part:
        part.write_text(grade_page(grade, footage), encoding="utf-8")


_STYLE = """
:root{color-scheme:light dark;--ink:#1c1d21;--paper:#fbfaf8;--soft:#6b6d75;--card:#fff;--line:#e2e0dc}
@media(prefers-color-scheme:dark){
:root{--ink:#ecebe8;--paper:#17181b;--soft:#9a9ca5;--card:#1f2024;--line:#34353a}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:62rem;margin:0 auto;padding:1.5rem}
header{border-left:.5rem solid;padding:.2rem 1rem;margin-bottom:1.5rem}
header.good{border-color:#2e8b57}header.usable{border-color:#d29922}header.unusable{border-color:#c8423b}
h1{font-size:1.4rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:0}
header p{margin:.2rem 0;font-size:1.1rem}small,.when,figcaption,footer,summary{color:var(--soft)}
section{background:var(--card);border:1px solid var(--line);border-left:.3rem solid #d29922;
border-radius:.4rem;
padding:.9rem 1.1rem;margin:1rem 0}section.fatal{border-left-color:#c8423b}
section p{margin:.3rem 0}.when{font-variant-numeric:tabular-nums}.remedy{font-weight:600}
.pictures{display:flex;flex-wrap:wrap;gap:.7rem;margin-top:.6rem}figure{margin:0}img{border-radius:.3rem;display:block;
max-width:100%;max-height:14rem;width:auto;height:auto}figcaption{font-size:.8rem}
.timeline{display:grid;grid-template-columns:max-content 1fr;gap:.25rem .8rem;align-items:center;
color:var(--soft);font-size:.75rem;line-height:1.1}
.timeline svg{width:100%;height:.7rem;background:var(--line);border-radius:.15rem}
.ends{display:flex;justify-content:space-between;font-variant-numeric:tabular-nums}
code{font:.92em ui-monospace,monospace;white-space:nowrap}
rect.speech{fill:#5b8def}rect.still{fill:#8f7bd8}rect.clean{fill:#2e8b57}rect.bad{fill:#c8423b}
table{border-collapse:collapse;margin:.6rem 0}td{padding:.1rem 1.2rem .1rem 0}
td{border-bottom:1px solid var(--line)}td+td{text-align:right;font-variant-numeric:tabular-nums}
footer{font-size:.75rem;overflow-wrap:anywhere;margin-top:1.5rem}
"""
