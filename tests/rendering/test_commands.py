"""`cvi render` and `cvi replica` as typed: what is wrong is said before anything is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvi.cli.app import app
from cvi.errors import CviError, UsageError
from cvi.face.replica import find_replica


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def complaint(*arguments: str) -> str:
    """The error of a command, message and remedy."""
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, CviError), result.output
    return str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([""], "text is empty"),
        (["🙂🎉"], "nothing to say"),
        (["word " * 100_000], "100,000 words"),
        (["Hi.", "--replica", "jun"], "Did you mean 'june'"),
        (["Hi.", "--size", "1280"], "not a size"),
        (["Hi.", "--size", "1281x720"], "odd side"),
        (["Hi.", "--size", "99998x99998"], "out of range"),
        (["Hi.", "--size", "360x640"], "too narrow"),
        (["Hi.", "--fps", "23"], "--fps 23"),
        (["Hi.", "--language", "klingon"], "klingon"),
        (["Hi.", "--language", "germn"], "Did you mean 'german'"),
        (["Hi.", "--voice", "nobody"], "nobody"),
        (["Hi.", "--emotion", "blue"], "--emotion blue"),
        (["Hi.", "--background", "beach"], "beach"),
        (["Hi.", "--audio", "speech.wav"], "either"),
        ([], "either"),
        (["none.txt"], "none.txt"),
        (["--audio", "none.wav"], "none.wav"),
        (["--audio", "none.wav", "--captions"], "--captions"),
        (["Hi.", "-o", "film.avi"], "MP4"),
        (["Hi.", "-o", "nowhere/film.mp4"], "nowhere"),
    ],
)
def test_a_wrong_request_says_why_and_writes_nothing(arguments: list[str], message: str, tmp_path: Path) -> None:
    if not any(option == "-o" for option in arguments):
        arguments = [*arguments, "-o", "film.mp4"]
    assert message in complaint("render", *arguments)
    assert not [path for path in tmp_path.iterdir() if path.name != "home"]


def test_damaged_files_are_named(home: Path) -> None:
    copy = home / "replicas" / "june"
    shutil.copytree(find_replica("june"), copy)
    data = bytearray((copy / "atlas.npz").read_bytes())
    data[1000] ^= 1
    (copy / "atlas.npz").write_bytes(bytes(data))
    assert "atlas.npz" in complaint("render", "Hi.", "-o", "film.mp4")
    assert "atlas.npz" in complaint("replica", "show", "june")
    listed = json.loads(CliRunner().invoke(app, ["replica", "list", "--json"]).output)["replicas"]
    assert {row["name"]: row["state"] for row in listed}["june"] == "damaged"


def test_replicas_are_exported_imported_renamed_and_deleted(home: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(app, ["replica", "export", "june", "-o", "j.zip"]).exit_code == 0
    assert run(app, ["replica", "import", "j.zip", "--name", "juno"]).exit_code == 0
    assert run(app, ["replica", "rename", "juno", "jane"]).exit_code == 0
    shown = json.loads(run(app, ["replica", "show", "jane", "--json"]).output)
    assert shown["name"] == "jane" and shown["path"].startswith(str(home))
    assert run(app, ["replica", "delete", "jane"], input="n\n").exit_code == 1
    assert run(app, ["replica", "delete", "jane", "--yes"]).exit_code == 0
    assert not (home / "replicas" / "jane").exists()


def test_deleting_a_shipped_replica_is_refused_without_a_question(home: Path) -> None:
    result = CliRunner().invoke(app, ["replica", "delete", "june"], input="y\n")
    assert isinstance(result.exception, UsageError) and "good?" not in result.output
