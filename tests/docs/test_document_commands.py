"""Every command in the README and the documents is one the program takes; the quick ones are run."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import typer.main

from cvi.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
CODE = re.compile(r"^```(sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`((?:cvi|scripts/|python -m) ?[^`\n]*)`(?!`)")

# Those that only look, or write one small file: done in a second or two.
RUN = [
    "cvi list",
    "cvi devices",
    "cvi keys list",
    "cvi webhooks list",
    "cvi models list",
    "cvi models sources",
    "cvi models verify",
    "cvi persona list",
    "cvi persona check guide",
    "cvi persona new coach --from guide",
    "cvi persona schema",
    "cvi replica list",
    "cvi replica script",
]


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) for each command line of the pages, comments and prompts removed."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for kind, block in CODE.findall(text):
            for line in block.replace("\\\n", " ").splitlines():
                if kind == "console" and not line.startswith("$ "):
                    continue  # what it prints
                line = line.removeprefix("$ ").strip()
                if line and not line.startswith("#"):
                    yield page.name, line
        for line in INLINE.findall(CODE.sub("", text)):
            yield page.name, line.strip()


COMMANDS = sorted(set(commands()))


def words(line: str) -> list[str]:
    """The words of the first command of a line, up to a comment, a pipe, a list or an elision."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&>")
    lexer.whitespace_split = True
    taken: list[str] = []
    for word in lexer:
        if word in ("|", "||", "&&", ";", ">", "&"):
            break
        taken.append(word)
    return [word for word in taken if word not in ("...", "…")]


@cache
def program() -> click.Command:
    """The whole command line, built once."""
    return typer.main.get_command(app)


def parse(arguments: list[str]) -> None:
    """Walk to the command and let it take its options; nothing is run. Raises click.UsageError."""
    command = program()
    context = click.Context(command, info_name="cvi")
    while isinstance(command, click.Group) and arguments and not arguments[0].startswith("-"):
        name = arguments[0]
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command, arguments = found, arguments[1:]
        context = click.Context(command, info_name=name, parent=context)
    if isinstance(command, click.Group) or not arguments or arguments == ["--help"]:
        return  # named as such, or without its arguments
    command.parse_args(context, arguments)


@pytest.mark.parametrize(("page", "line"), [pair for pair in COMMANDS if pair[1].startswith("cvi ")])
def test_the_program_takes_it(page: str, line: str) -> None:
    if re.fullmatch(r"cvi [A-Za-z-]+(\|[A-Za-z-]+)+.*", line):
        pytest.skip("a list of commands")
    try:
        parse(words(line)[1:])
    except click.UsageError as error:
        pytest.fail(f"{page}: {line}: {error.format_message()}")


@pytest.mark.parametrize(("page", "line"), [pair for pair in COMMANDS if not pair[1].startswith("cvi ")])
def test_what_it_names_is_there(page: str, line: str) -> None:
    first, *rest = words(line)
    if first.startswith(("scripts/", ".ci/")):
        path = ROOT / first
        assert path.is_file() and (path.suffix == ".py" or os.access(path, os.X_OK)), f"{page}: no {first}"
    elif first == "python" and rest[:1] == ["-m"]:
        sys.path.insert(0, str(ROOT))
        try:
            assert importlib.util.find_spec(rest[1]) is not None, f"{page}: no module {rest[1]}"
        finally:
            sys.path.remove(str(ROOT))
    elif first == "pip":
        named = [word for word in rest if word.startswith("cvi")]
        assert all(re.fullmatch(r"cvi-local(\[[a-z0-9,]+\])?", word) for word in named), f"{page}: {line}"


def test_the_quick_ones_stand_in_the_pages_or_in_help() -> None:
    """The list of what is run does not outlive the documents."""
    shown = {line for _, line in COMMANDS}
    for line in RUN:
        parse(words(line)[1:])
    assert sum(any(one.startswith(line) for one in shown) for line in RUN) >= len(RUN) // 2


@pytest.mark.parametrize("line", RUN)
def test_the_quick_ones_run(line: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from cvi.cli.app import main; main()", *words(line)[1:]],
        env={**os.environ, "CVI_HOME": str(tmp_path / "home"), "COLUMNS": "80"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()
