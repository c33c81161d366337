"""The window on a virtual screen, its words, and what `cvi devices` finds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cvi.transport.devices import FoundDevice, cameras
from cvi.transport.window import Subtitles, Window, wrap
from tests.recordings import grey

WIDTH, HEIGHT = 640, 360


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """A virtual X screen of our own."""
    if not shutil.which("Xvfb"):
        pytest.skip("Xvfb is not installed")
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        pass_fds=[writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    number = os.fdopen(reader).readline().strip()
    if not number:
        pytest.skip("Xvfb does not run here")
    before = {name: os.environ.pop(name, None) for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}
    os.environ["DISPLAY"] = f":{number}"
    yield f":{number}"
    server.terminate()
    server.wait(10)
    os.environ.pop("DISPLAY")
    os.environ.update({name: value for name, value in before.items() if value is not None})


class Still:
    size = (64, 36)

    def at(self, time_s: float, *, patience_s: float = 0.0) -> np.ndarray:
        return grey(235, 64, 36)

    def close(self) -> None:
        pass


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "the window did not do it"
        time.sleep(0.02)


def shot() -> np.ndarray:
    """What is drawn, RGB (height, width, 3)."""
    import pygame

    return pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)


def test_the_window_shows_the_face_the_words_and_oneself(screen: str) -> None:
    window = Window((WIDTH, HEIGHT), lambda control: None, self_view=Still())
    window.open()
    try:
        blue = grey(60, WIDTH, HEIGHT)
        blue.reshape(-1)[WIDTH * HEIGHT : WIDTH * HEIGHT * 5 // 4] = 200
        window.show(blue)
        until(lambda: window.shown_frames > 2)
        # A picture may be taken while the window draws the next one.
        until(lambda: shot()[HEIGHT - 30, WIDTH - 30].min() > 230)  # oneself in the corner
        red, _, blueness = shot()[HEIGHT // 2, WIDTH // 2].astype(int)
        assert blueness > red + 60
        shown = window.shown_frames
        window.say("persona", "Good morning. Where shall we begin?")
        window.say("state", "speaking")
        until(lambda: window.shown_frames > shown + 1)
        after = shot()
        caption = after[HEIGHT * 9 // 10, WIDTH // 4 : WIDTH * 3 // 4].astype(int)
        assert caption.max() > 200 and caption.min() < 60, "light words on a dark plate"
    finally:
        window.close()
    assert not window._thread.is_alive()


def test_keys_are_told(screen: str) -> None:
    if not shutil.which("xdotool"):
        pytest.skip("xdotool is not installed")
    told: list[str] = []
    window = Window((WIDTH, HEIGHT), told.append)
    window.open()
    try:
        window.show(grey(60, WIDTH, HEIGHT))
        until(lambda: window.shown_frames > 0)
        for key in ("m", "space", "i", "q", "Escape"):
            subprocess.run(["xdotool", "key", key], check=True)
        until(lambda: len(told) == 5)
    finally:
        window.close()
    assert told == ["mute", "interrupt", "interrupt", "quit", "quit"]


def test_captions_are_those_of_who_speaks() -> None:
    words = Subtitles()
    words.say("persona", "Hello.")
    words.say("user_partial", "I would")
    assert (words.user, words.persona) == ("I would", "")
    words.say("persona", "Of course.")
    words.say("something new", "x")
    assert words.persona == "Of course."
    before = words.snapshot()
    words.say("muted", "yes")
    assert words.muted and not before.muted


def test_lines_break_between_words() -> None:
    class Font:
        def size(self, text: str) -> tuple[int, int]:
            return len(text), 1

    assert wrap("one two three incomprehensibilities ok", Font(), 9) == [
        "one two",
        "three",
        "incomprehensibilities",
        "ok",
    ]
    assert wrap("", Font(), 9) == []


def test_cameras_are_listed_without_being_opened(tmp_path: Path) -> None:
    for number, name, index in ((2, "Second", "0"), (0, "First", "0"), (1, "First", "1")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(f"{name}\n")
        (tmp_path / f"video{number}" / "index").write_text(index)
    assert cameras(tmp_path) == (FoundDevice(0, "First"), FoundDevice(2, "Second"))
    assert cameras(tmp_path / "absent") == ()


def test_devices_prints_for_people_and_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    import typer
    from typer.testing import CliRunner

    from cvi.cli.doctor import devices

    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":42")
    app = typer.Typer()
    app.command()(devices)
    plain = CliRunner().invoke(app, [])
    assert plain.exit_code == 0 and "Display: :42" in plain.output and "Microphones" in plain.output
    machine = json.loads(CliRunner().invoke(app, ["--json"]).output)
    assert machine["display"] == ":42" and isinstance(machine["speakers"], list)
