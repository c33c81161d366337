"""Documents made for measuring, in nine formats, with questions whose answers stand in them.

Each source is a Markdown file. Its first line names the format to make and the language, `<!-- page -->`
begins a page. Behind `%%` stands one question a line: the question, a regular expression that the passage
with the answer matches, and, where a language model is to be graded, one that its answer matches. A line that
begins with `?` is a question that the document does not answer; behind it may stand made-up replies, on which
the check of replies is fitted.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvi.knowledge.reading.blocks import one_line

PAGE = "<!-- page -->"


@dataclass(frozen=True, slots=True)
class Question:
    """`passage` is what the passage with the answer matches, "" where there is none; `answer` a good
    reply; `wrong` are replies that somebody made up where there is none."""

    text: str
    document: str
    language: str
    passage: str = ""
    answer: str = ""
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One document: its format ("pdf"), language ("de"), Markdown text and questions."""

    name: str
    kind: str
    language: str
    text: str
    questions: tuple[Question, ...]

    @property
    def file_name(self) -> str:
        """The name of the file that is made of it."""
        return f"{self.name}.{self.kind}"


PARTS = {
    "graded": ("graded",),
    "development": ("development",),
    "grounding": ("development", "grounding"),
    "held": ("held",),
}
"""The folders of each part: what is graded, what the gate and the check of replies were fitted on, and what
was held out until the notes had been tuned on the replies to the graded one."""


def load_sources(part: str) -> list[Source]:
    """The documents of a part, by name."""
    folders = [Path(__file__).with_name(name) for name in PARTS[part]]
    return [_load(path) for folder in folders for path in sorted(folder.glob("*.md"))]


def load_turns(part: str) -> list[tuple[str, str]]:
    """Kind and text of the turns of a part of asking.tsv: `fit`, or `held` out."""
    lines = Path(__file__).with_name("asking.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and line[0] != "#"]
    return [(kind, text) for where, kind, text in rows if where == part]


def _load(path: Path) -> Source:
    text, _, tail = path.read_text(encoding="utf-8").partition("\n%%\n")
    head, _, text = text.partition("\n")
    kind, language = head.removeprefix("<!--").removesuffix("-->").split()
    name = f"{path.stem}.{kind}"
    questions = []
    for line in filter(None, tail.splitlines()):
        if line.startswith("?"):
            asked, *wrong = (part.strip() for part in line[1:].split(" | "))
            questions.append(Question(asked, name, language, wrong=tuple(wrong)))
            continue
        asked, passage, *answer = (part.strip() for part in re.split(r" \| ", line))
        questions.append(Question(asked, name, language, passage, answer[0] if answer else ""))
    return Source(path.stem, kind, language, text, tuple(questions))


def write_files(sources: list[Source], folder: Path) -> None:
    """Make the documents in their formats. PDF needs the package reportlab."""
    writers = {
        "pdf": _pdf,
        "docx": _docx,
        "pptx": _pptx,
        "xlsx": _xlsx,
        "html": _html,
        "csv": _csv,
        "json": _json,
    }
    for source in sources:
        path = folder / source.file_name
        writer = writers.get(source.kind)
        if writer is None:
            path.write_text(source.text.replace(PAGE, ""), encoding="utf-8")
        else:
            writer(source.text, path)


# -- the formats ----------------------------------------------------------------------------------


def _parts(text: str) -> Iterator[tuple[str, Any]]:
    """("heading", (level, text)), ("text", text), ("table", rows) and ("page", None), in order."""
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not all(set(cell) <= {"-"} for cell in cells):
                rows.append(cells)
            continue
        if rows:
            yield "table", rows
            rows = []
        if line == PAGE:
            yield "page", None
        elif found := re.match(r"(#+) (.*)", line):
            yield "heading", (len(found[1]), found[2])
        elif line.strip():
            yield "text", line.strip()


def _pdf(text: str, path: Path) -> None:
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Table, TableStyle

    styles = getSampleStyleSheet()
    story: list[Any] = []
    for kind, value in _parts(text):
        if kind == "heading":
            story.append(Paragraph(value[1], styles[f"Heading{value[0]}"]))
        elif kind == "text":
            story.append(Paragraph(value, styles["BodyText"]))
        elif kind == "page":
            story.append(PageBreak())
        else:
            story.append(Table(value, style=TableStyle([("GRID", (0, 0), (-1, -1), 0.5, "black")])))
    SimpleDocTemplate(str(path), pagesize=A4).build(story)


def _docx(text: str, path: Path) -> None:
    import docx

    document = docx.Document()
    for kind, value in _parts(text):
        if kind == "heading":
            document.add_heading(value[1], value[0])
        elif kind == "text":
            document.add_paragraph(value)
        elif kind == "table":
            table = document.add_table(len(value), len(value[0]))
            for row, cells in zip(table.rows, value, strict=True):
                for cell, shown in zip(row.cells, cells, strict=True):
                    cell.text = shown
    document.save(str(path))


def _pptx(text: str, path: Path) -> None:
    import pptx

    show = pptx.Presentation()
    for page in text.split(PAGE):
        slide = show.slides.add_slide(show.slide_layouts[1])
        lines = []
        for kind, value in _parts(page):
            if kind == "heading":
                slide.shapes.title.text = value[1]
            else:
                lines.append(value)
        slide.placeholders[1].text = "\n".join(lines)
    show.save(str(path))


def _xlsx(text: str, path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for kind, value in _parts(text):
        if kind == "heading":
            sheet = book.create_sheet(value[1])
        elif kind == "table":
            for row in value:
                sheet.append(row)
    book.save(str(path))


def _html(text: str, path: Path) -> None:
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark").enable("table").render(text)
    menu = "<nav><a href='/'>Home</a> <a href='/contact'>Contact</a></nav>"
    title = one_line(text.partition("\n")[0].lstrip("# "))
    page = f"<!doctype html><html><head><meta charset='utf-8'><title>{title}</title></head><body>{menu}{body}"
    path.write_text(f"{page}<footer>All rights reserved</footer></body></html>", encoding="utf-8")


def _csv(text: str, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        for _, rows in _parts(text):
            csv.writer(stream).writerows(rows)


def _json(text: str, path: Path) -> None:
    path.write_text(json.dumps(json.loads(text), indent=1), encoding="utf-8")
