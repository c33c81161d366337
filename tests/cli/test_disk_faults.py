"""A data folder that is read-only, full, a file or nonsense: one line, no trace, a status that is not 0."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RunCvi = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = (
    "talk --text --profile embedded", "keys list", "keys create x", "persona new a --from guide", "webhooks secret",
    "serve --port 22031 --profile embedded",
)  # fmt: skip


def run(home: str, words: str, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    shell = f"ulimit -f {limit}; trap '' XFSZ; " if limit is not None else ""
    command = f"{shell}exec {sys.executable} -c 'from cvi.cli.app import main; main()' {words}"
    environment = {**os.environ, "CVI_HOME": home}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=200, input="hello\n"
    )


@pytest.mark.parametrize("home", ["/dev/null/x", "/etc/hostname", "~nouser/x", "/tmp/" + "a" * 300, "/proc/nothing"])
@pytest.mark.parametrize("words", COMMANDS)
def test_a_data_folder_that_cannot_be_is_one_line(run_cvi: RunCvi, home: str, words: str) -> None:
    done = run_cvi(*words.split(), home=home)
    assert done.returncode in (1, 2), (done.returncode, done.stderr[-400:])
    assert "Traceback" not in done.stderr and "cvi: " in done.stderr


@pytest.mark.parametrize("words", ["list", "show last", "memory list", "replica list", "persona list"])
def test_a_file_in_the_place_of_the_data_folder_is_not_read_as_an_empty_one(run_cvi: RunCvi, words: str) -> None:
    done = run_cvi(*words.split(), home="/etc/hostname")
    assert done.returncode == 2 and "is a file" in done.stderr, (done.returncode, done.stdout, done.stderr)


def test_a_server_on_a_full_disk_says_so_in_one_line(tmp_path: Path) -> None:
    done = run(str(tmp_path), "serve --port 22031 --profile embedded", limit=1)
    assert done.returncode == 1 and "Traceback" not in done.stderr, (done.returncode, done.stderr[-400:])
    assert "cvi: The database" in done.stderr and "cannot be used" in done.stderr


def test_a_typed_conversation_that_cannot_be_kept_says_so(tmp_path: Path) -> None:
    """The size of files is limited, which writes meet as they meet a full disk."""
    done = run(str(tmp_path), "talk --text --profile embedded", limit=1)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "journal" in done.stderr, done.stderr[-400:]


def test_one_damaged_journal_does_not_break_the_list_and_nothing_is_printed_raw(tmp_path: Path) -> None:
    folder = tmp_path / "conversations"
    start = '{"seq": 0, "t": 0.0, "type": "conversation_started", "began": "2026-01-02T03:04:05+00:00", "persona": "Ada"}\n'
    typed = '{"seq": 1, "t": 1.0, "type": "turn_typed", "turn": 0, "reply": 0, "text": "a\\u001b[31mred\\u202e"}\n'
    for id, text in (("c0000000000a1", start + typed), ("c0000000000b2", start + "damaged\n" + typed)):
        (folder / id).mkdir(parents=True)
        (folder / id / "journal.jsonl").write_text(text)
    listed = run(str(tmp_path), "list")
    assert listed.returncode == 0 and "damaged" in listed.stderr and "c0000000000a1"[:8] in listed.stdout
    for words in ("show c0000000000a1", "show c0000000000a1 --events"):
        shown = run(str(tmp_path), words).stdout
        assert "red" in shown and "\x1b[31m" not in shown and "\u202e" not in shown
