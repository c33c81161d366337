"""`cvi replica script`, `check` and `record`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cvi.cli.app import app
from cvi.errors import CviError, MissingError, UsageError

RUN = CliRunner()


def test_the_script_is_printed_in_parts() -> None:
    shown = RUN.invoke(app, ["replica", "script", "--language", "german"])
    assert shown.exit_code == 0
    assert "Bob und Mama" in shown.output and "60 s]" in shown.output and "minutes" in shown.output
    text = RUN.invoke(app, ["replica", "script", "--text"]).output.splitlines()
    assert len(text) > 20 and not any(line.startswith("[") for line in text)
    data = json.loads(RUN.invoke(app, ["replica", "script", "--check", "--json"]).output)
    assert data["language"] == "en" and data["coverage"]["missing"] == []
    assert data["coverage"]["mouths"]["P, B, M"][0] > 100


def test_a_language_without_a_script_is_told() -> None:
    outcome = RUN.invoke(app, ["replica", "script", "-l", "klingon"])
    assert isinstance(outcome.exception, UsageError) and "There is one in" in str(outcome.exception)


def test_check_tells_what_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no film")
    outcome = RUN.invoke(app, ["replica", "check", str(path)])
    assert isinstance(outcome.exception, UsageError) and outcome.exception.exit_status == 2
    several = RUN.invoke(app, ["replica", "check", str(path), str(tmp_path / "gone.mp4"), "--json"])
    assert several.exit_code == 1
    rows = json.loads(several.output)["films"]
    assert [row["verdict"] for row in rows] == ["unreadable", "unreadable"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no film in" in str(RUN.invoke(app, ["replica", "check", str(empty)]).exception)


def test_check_settles_where_the_page_goes_before_it_grades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import cvi.training.footage.reader as footage

    def opened(path: Path) -> None:
        raise AssertionError("minutes of grading, in vain")

    monkeypatch.setattr(footage, "open_footage", opened)
    one, two = tmp_path / "a.mp4", tmp_path / "b.mp4"
    one.write_bytes(b"a film")
    two.write_bytes(b"another")
    bad = [
        ([str(one), "--html", str(two)], "not the name of a page"),
        ([str(one), "--html", str(tmp_path / "gone" / "page.html")], "no folder"),
        ([str(one), str(two), "--html", str(tmp_path / "page.html")], "one file"),
        ([str(one), "--script", str(tmp_path / "gone.txt")], "no script"),
    ]
    script = tmp_path / "empty.txt"
    script.touch()
    bad.append(([str(one), "--script", str(script)], "is empty"))
    for words, said in bad:
        outcome = RUN.invoke(app, ["replica", "check", *words])
        assert isinstance(outcome.exception, UsageError) and said in str(outcome.exception), words
    assert two.read_bytes() == b"another"


def test_no_replica_without_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    film = tmp_path / "a.mp4"
    film.write_bytes(b"not looked at")
    outcome = RUN.invoke(app, ["train-replica", str(film), "--name", "anna"])
    assert outcome.exit_code == 2 and "--consent" in outcome.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_record_refuses_before_it_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "me.mp4"
    film.write_bytes(b"precious")
    outcome = RUN.invoke(app, ["replica", "record", str(film)])
    assert isinstance(outcome.exception, UsageError) and "--force" in outcome.exception.remedy
    assert film.read_bytes() == b"precious"
    # What is read is written beside the film, over nothing that is there.
    (tmp_path / "notes.txt").write_text("my own")
    outcome = RUN.invoke(app, ["replica", "record", str(tmp_path / "notes.mp4")])
    assert isinstance(outcome.exception, UsageError) and "notes.txt" in str(outcome.exception)
    outcome = RUN.invoke(app, ["replica", "record", str(tmp_path / "me.avi")])
    assert isinstance(outcome.exception, UsageError)
    import cvi.transport.devices as inventory

    monkeypatch.setattr(inventory, "cameras", lambda: [])
    outcome = RUN.invoke(app, ["replica", "record", str(tmp_path / "new.mp4"), "--no-guide"])
    assert isinstance(outcome.exception, MissingError) and "camera" in str(outcome.exception)
    assert not (tmp_path / "new.mp4").exists()


def test_check_grades_a_real_bad_clip(tmp_path: Path) -> None:
    film = Path(__file__).parents[2] / "../shared/media/face/bad/autoeditor_example.mp4"
    if not film.is_file():
        pytest.skip(f"{film} is not here")
    page = tmp_path / "page.html"
    outcome = RUN.invoke(app, ["replica", "check", str(film), "--json", "--html", str(page)])
    if isinstance(outcome.exception, MissingError):
        pytest.skip(str(outcome.exception))
    assert not isinstance(outcome.exception, CviError)
    assert outcome.exit_code == 1
    grade = json.loads(outcome.output)["films"][0]
    assert grade["verdict"] == "unusable" and grade["faults"][0]["kind"] == "no_face"
    assert "data:image/jpeg;base64," in page.read_text()


def test_a_camera_that_is_not_there_is_told_in_a_sentence_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    outcome = RUN.invoke(app, ["replica", "record", str(tmp_path / "me.mp4"), "--camera", "97", "--no-guide"])
    assert isinstance(outcome.exception, MissingError) and "Camera 97 cannot be opened" in str(outcome.exception)
    assert capfd.readouterr().err == "", "the library that was asked has a voice of its own"
