"""The page: runs one after another, style included, nothing fetched from anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from cvi.bench.report.analysis import Analysis, RunAnalysis, analyse, as_data
from cvi.bench.report.headline import Tile, headline, tiles
from cvi.bench.report.html import Markup, section, tag
from cvi.bench.report.measured import figure_section, ratio_section, ratio_table
from cvi.bench.report.sections import (
    account_section,
    course_section,
    origin_section,
    playout_section,
    timeline_section,
)
from cvi.bench.run import Run
from cvi.errors import CviError

REPORT_NAME = "report.html"


def write_report(runs: Sequence[tuple[Path, Run]], page: Path) -> tuple[Path, Path]:
    """Write the page of `runs` (folders and records, one at least) and its JSON beside it.

    Returns both paths. Raises CviError when they cannot be written.
    """
    analysis = analyse(runs)
    data = page.with_suffix(".json")
    _write(page, render(analysis))
    _write(data, json.dumps(as_data(analysis), indent=1, ensure_ascii=False) + "\n")
    return page, data


def render(analysis: Analysis) -> str:
    """The whole document."""
    first = analysis.runs[0]
    style = files("cvi.bench.report").joinpath("style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{first.run.kind}: {headline(first)}"),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        _contents(analysis.runs),
        tag("main", [_article(run, number) for number, run in enumerate(analysis.runs)], _between(analysis)),
        tag(
            "footer",
            "Made by ",
            tag("code", "cvi bench report"),
            ". The same figures stand in the JSON beside it.",
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _article(analysis: RunAnalysis, number: int) -> Markup:
    run = analysis.run
    head = tag(
        "header",
        tag("p", f"cvi bench {run.kind} · {_date(run.began)} · {analysis.name}", class_="kicker"),
        tag("h1", headline(analysis)),
        tag("div", [_tile(tile) for tile in tiles(analysis)], class_="tiles"),
        _notes(run.notes),
    )
    sections = [
        course_section(analysis),
        figure_section(analysis),
        ratio_section(analysis),
        timeline_section(analysis),
        account_section(analysis),
        playout_section(analysis),
        origin_section(analysis),
    ]
    return tag("article", head, [part for part in sections if part is not None], id=f"run-{number}")


def _tile(tile: Tile) -> Markup:
    return tag(
        "div",
        tag("span", tile.name, class_="tile-name"),
        tag("strong", tile.value),
        tag("small", tile.beside) if tile.beside else None,
        class_=f"tile {tile.tone}".strip(),
    )


def _contents(runs: Sequence[RunAnalysis]) -> Markup | None:
    if len(runs) < 2:
        return None
    links = [tag("li", tag("a", run.name, href=f"#run-{number}")) for number, run in enumerate(runs)]
    return tag("nav", tag("ul", links), aria_label="Runs")


def _between(analysis: Analysis) -> Markup | None:
    if not analysis.between:
        return None
    first = analysis.runs[0].name
    parts = [
        [
            _notes(found.warnings),
            ratio_table(f"{name} against {first}", found.rows, (first, name)),
        ]
        for name, found in analysis.between
    ]
    return tag("article", section("Run against run", "Ratios of medians with 95 % intervals.", parts))


def _notes(said: Sequence[str]) -> Markup | None:
    """What a reader must know before the figures."""
    return tag("ul", [tag("li", text) for text in said], class_="notes") if said else None


def _date(began: str) -> str:
    return began[:16].replace("T", " ")


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise CviError(f"{path} cannot be written: {error.strerror}.", "Choose another with -o.") from error
    finally:
        if part.exists():
            part.unlink()
