"""`cvi replica check` and `cvi replica setup`: is this footage good enough, and what reads faces here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from cvi.training.footage.reader import Footage
    from cvi.training.grading.faults import FootageGrade

PAGES = (".html", ".htm")
FILMS = (".mp4", ".mov", ".mkv", ".webm", ".m4v", ".avi", ".mpg", ".mpeg")


def check(
    films: Annotated[
        list[Path], typer.Argument(metavar="VIDEO|FOLDER...", help="Films, or folders of films for a table.")
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with pictures; a folder for several.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What is said in the film, to see which sounds lack.")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the script.")] = "en",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Grade footage before any training: what is wrong with it, where, and what to do.

    Exits with 1 when a film is unusable, with 2 when a file is no film.
    """
    from rich.console import Console

    from cvi.training.grading.grade_page import grade_as_data, write_page

    paths = _films(films)
    pages = [None if html is None else _page_path(html, path, several=len(paths) > 1) for path in paths]
    console = Console(stderr=True, quiet=json)
    script_coverage = None if script is None else _coverage(script, language)
    rows: list[dict[str, Any]] = []
    grades: list[FootageGrade | None] = []
    for path, page in zip(paths, pages, strict=True):
        grade, footage, problem = _grade(path, console, alone=len(paths) == 1)
        grades.append(grade)
        if grade is None:
            rows.append({"film": path.name, "path": str(path), "verdict": "unreadable", "said": problem})
            continue
        row = {**grade_as_data(grade), "path": str(path)}
        if page is not None and footage is not None:
            write_page(grade, footage, page)
            row["page"] = str(page)
        rows.append(row)
    if json:
        _print_json({"films": rows, **({"script": script_coverage} if script_coverage else {})})
    elif len(paths) == 1 and grades[0] is not None:
        _print_grade(grades[0], rows[0], script_coverage)
    else:
        _print_table(rows)
    if any(row["verdict"] in ("unusable", "unreadable") for row in rows):
        raise typer.Exit(1)


def setup(
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for machines.")] = False,
) -> None:
    """Install the face tracker that checking and training need (MediaPipe's face mesh, about 90 MB)."""
    from rich.console import Console

    from cvi.perception.face_mesh import install_packages

    console = Console(stderr=True, quiet=json)
    with console.status("Installing the face tracker..."):
        folder = install_packages()
    if json:
        _print_json({"face_tracker": str(folder)})
    else:
        typer.echo(f"The face tracker is installed: {folder}")


def _films(given: list[Path]) -> list[Path]:
    from cvi.errors import UsageError

    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in FILMS)
            if not inside:
                raise UsageError(f"There is no film in {path}.", f"Films end in {', '.join(FILMS)}.")
            found += inside
        else:
            found.append(path)
    return found


def _grade(path: Path, console: Console, *, alone: bool) -> tuple[FootageGrade | None, Footage | None, str]:
    """The grade; with several films, one that cannot be read does not stop the others."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from cvi.errors import UsageError
    from cvi.perception.face_mesh import build_tracker
    from cvi.training.footage.reader import open_footage
    from cvi.training.grading.grader import grade_footage

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    try:
        footage = open_footage(path)
        tracker = build_tracker()
        try:
            with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
                task = bar.add_task(path.name, total=None)

                def progress(done: int, of: int) -> None:
                    if done % 5 == 0:
                        bar.update(task, completed=done, total=of)

                return grade_footage(footage, tracker, progress=progress), footage, ""
        finally:
            tracker.close()
    except UsageError as error:
        if alone:
            raise
        return None, None, str(error)


def _coverage(script: Path, language: str) -> dict[str, Any]:
    from cvi.errors import UsageError
    from cvi.training.recording.reading_script import NAMES, NEEDED, coverage

    if not script.is_file():
        raise UsageError(f"There is no script {script}.", "Check the path.")
    try:
        text = script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The script {script} cannot be read.", "Save it as plain text in UTF-8.") from error
    if not text.strip():
        raise UsageError(f"The script {script} is empty.", "Write into it what is said in the film.")
    found = coverage(text, language)
    return {
        "mouths": {NAMES[name]: found.mouths[name] for name in NEEDED},
        "missing": [NAMES[name] for name in found.missing],
    }


def _page_path(html: Path, film: Path, *, several: bool) -> Path:
    """Where a film's page goes, settled before the minutes of grading. Raises UsageError."""
    from cvi.errors import UsageError

    if html.is_dir():
        return html / f"{film.stem}.html"
    if several:
        raise UsageError(f"{html} is one file, and there are several films.", "Name a folder that exists.")
    if html.suffix.lower() not in PAGES:
        raise UsageError(f"{html} is not the name of a page.", "Give --html a name ending in .html.")
    if not html.parent.is_dir():
        raise UsageError(f"There is no folder {html.parent}.", "Make it, or choose another for the page.")
    return html


def _print_grade(grade: FootageGrade, row: dict[str, Any], script_coverage: dict[str, Any] | None) -> None:
    from rich.console import Console

    from cvi.training.grading.grade_page import format_spans

    console = Console(highlight=False, markup=False, soft_wrap=True)
    colour = {"good": "green", "usable": "yellow", "unusable": "red"}[grade.verdict]
    console.print(f"{grade.film}: {grade.verdict}", style=f"bold {colour}")
    for fault in grade.faults:
        about = fault.about
        console.print()
        console.print(f"{about.title} ({format_spans(fault.spans, grade.duration_s)})", style="bold")
        console.print(f"  {fault.message} {about.effect}")
        console.print(f"  → {about.remedy}")
    if not grade.faults:
        console.print("  No fault was found.")
    if script_coverage is not None:
        console.print()
        lacks = ", ".join(script_coverage["missing"])
        console.print(f"The script: {'too few of ' + lacks if lacks else 'every sound often enough'}.")
    console.print()
    facts = grade.figures
    console.print(
        f"{facts['clean_speech_s']:.0f} s of clean speech, {facts['still_silences']:.0f} still silences, "
        f"face {facts.get('face_px', 0):.0f} px, voice {facts['snr_db']:.0f} dB above noise",
        style="dim",
    )
    if "page" in row:
        console.print(f"Page: {row['page']}")


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("film", "length", "face px", "speech s", "verdict", "faults"):
        table.add_column(heading, justify="right" if heading in ("length", "face px", "speech s") else "left")
    for row in rows:
        if row["verdict"] == "unreadable":
            table.add_row(row["film"], "", "", "", "unreadable", row["said"])
            continue
        figures = row["figures"]
        faults = ", ".join(fault["kind"] for fault in row["faults"])
        face = f"{figures['face_px']:.0f}" if "face_px" in figures else "-"
        length, speech = f"{row['duration_s']:.0f} s", f"{figures['clean_speech_s']:.0f}"
        table.add_row(row["film"], length, face, speech, row["verdict"], faults or "none")
    Console(highlight=False, markup=False).print(table)


def _print_json(document: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
