"""Pictures of transports: films in a camera's place, a room's tracks, a screen of 4K."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from cvi.cli.app import app
from cvi.media.live_picture import FilmPicture, LivePicture
from cvi.perception.picture import PictureWatch
from cvi.perception.screen_watch import ScreenState, ScreenWatch
from cvi.perception.text_reader import ScreenText, TextLine
from cvi.testing.footage.film import write_film
from cvi.transport.webrtc.incoming_video import LatestFrame

pytest.importorskip("aiortc")


def frames(count: int, width: int = 320, height: int = 240) -> list[np.ndarray]:
    return [np.full((height, width, 3), 40 + 10 * index, np.uint8) for index in range(count)]


def test_a_film_is_a_camera_until_it_ends(tmp_path: Path) -> None:
    film, now_s = tmp_path / "film.mp4", 0.0
    write_film(film, frames(10), None, 25)
    picture = FilmPicture(film, lambda: now_s)
    assert isinstance(picture, LivePicture)
    first, count = picture.rgb(640), picture.count
    assert first is not None and first.shape == (480, 640, 3) and abs(int(first.mean()) - 40) < 8
    now_s = 0.2
    later = picture.rgb(160)
    assert later is not None and later.shape == (120, 160, 3) and abs(int(later.mean()) - 90) < 12
    assert picture.count > count
    now_s = 5.0
    picture.rgb(640)
    assert picture.rgb(640) is None
    picture.close()


def test_a_film_that_stands_still_goes_to_and_fro(tmp_path: Path) -> None:
    """A recorded caller who waits for an answer is neither frozen nor gone."""
    film, now_s, at_s = tmp_path / "film.mp4", 0.0, 0.0
    stripes = np.tile(np.arange(320, dtype=np.uint8) // 8 * 2, (240, 1))[..., None]
    write_film(film, [frame + stripes for frame in frames(20)], None, 25)
    picture = FilmPicture(film, lambda: now_s, lambda: at_s, to_and_fro=12)
    watch, states, counts = PictureWatch(), [], []
    for look in range(80):
        now_s = look / 12
        states.append(watch.look(picture.rgb(640), now_s))
        counts.append(picture.count)
    assert set(states) == {"good"} and len(set(counts)) == 80
    now_s, at_s = 7.0, 0.4
    moved_on = picture.rgb(640)
    assert moved_on is not None and abs(int(moved_on.mean()) - 140 - 28) < 14
    picture.close()


def test_a_screen_is_shared_from_its_moment_on(tmp_path: Path) -> None:
    film, at_s = tmp_path / "film.mp4", -1.0
    write_film(film, frames(10), None, 25)
    picture = FilmPicture(film, lambda: 5.0, lambda: at_s, 1920)
    assert picture.rgb(1920) is None
    at_s = 0.1
    assert picture.rgb(1920) is not None
    picture.close()


def test_a_track_of_4k_is_scaled_down_and_one_that_ended_shows_nothing() -> None:
    latest = LatestFrame((256, 144))
    assert latest.rgb(640) is None
    latest._newest = av.VideoFrame.from_ndarray(np.full((2160, 3840, 3), 200, np.uint8), format="rgb24")
    shown = latest.rgb(1920)
    assert shown is not None and shown.shape == (1080, 1920, 3) and abs(int(shown.mean()) - 200) < 4
    latest.close()
    assert latest.rgb(640) is None


class Bars:
    """A reader of screens whose lines are bars 20 pixels high, each a brightness; three lines at a time."""

    def __init__(self) -> None:
        self.heights: list[int] = []

    def read(self, rgb: np.ndarray) -> Iterator[list[TextLine]]:
        self.heights.append(rgb.shape[0])
        column = rgb[:, 0, 0].astype(int)
        tops = [row for row in range(len(column)) if column[row] and (row == 0 or not column[row - 1])]
        for group in range(0, len(tops), 3):
            yield [TextLine(str(column[top]), top, top + 20) for top in tops[group : group + 3]]


def screen(**bars: int) -> np.ndarray:
    """A picture of 1080p, black but for bars: `y400=80` is one of brightness 80 from row 400 on."""
    rgb = np.zeros((1080, 1920, 3), np.uint8)
    for place, brightness in bars.items():
        rgb[int(place[1:]) : int(place[1:]) + 20] = brightness
    return rgb


def test_only_what_has_changed_on_a_screen_is_read_again() -> None:
    reader = Bars()
    text = ScreenText(reader)

    def read(rgb: np.ndarray) -> list[list[str]]:
        return list(text.read(rgb))

    assert read(screen(y100=50, y400=80, y900=120)) == [["50", "80", "120"]]
    assert read(screen(y100=50, y400=80, y900=120)) == []
    assert read(screen(y100=50, y400=95, y900=120)) == [["50", "95", "120"]]
    assert read(screen(y100=50, y400=95, y600=70, y900=120)) == [["50", "95", "70", "120"]]
    assert read(screen(y100=50, y600=70, y900=120)) == [["50", "70", "120"]]
    assert reader.heights[0] == 1080 and max(reader.heights[1:]) < 60
    assert read(screen(y100=50)[:540, :960]) == [["50"]]
    assert read(np.zeros((540, 960, 3), np.uint8)) == [[]]


def test_a_screen_full_of_lines_is_told_from_the_top_on() -> None:
    text = ScreenText(Bars())
    told = list(text.read(screen(y100=50, y200=60, y300=70, y400=80, y500=90)))
    assert told == [["50", "60", "70"], ["50", "60", "70", "80", "90"]]
    told = list(text.read(screen(y100=50, y210=61, y310=71, y410=81, y510=91, y900=40)))
    assert told == [["50", "61", "71", "81"], ["50", "61", "71", "81", "91", "40"]]


class Brightness:
    """A reader that tells the brightness of what it is given."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def read(self, rgb: np.ndarray) -> Iterator[list[TextLine]]:
        self.sizes.append(rgb.shape)
        yield [TextLine(f"brightness {int(rgb.mean())}", 0, rgb.shape[0])]


def test_a_screen_is_read_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvi.perception.screen_watch.LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("cvi.perception.screen_watch.BUDGET", 100.0)
    latest, seen, reader, changed = LatestFrame((256, 144)), [], Brightness(), threading.Condition()

    def saw(state: ScreenState) -> None:
        with changed:
            seen.append(state)
            changed.notify()

    def shows(value: int) -> None:
        latest._newest = av.VideoFrame.from_ndarray(np.full((2160, 3840, 3), value, np.uint8), format="rgb24")

    shows(100)
    watch = ScreenWatch(latest, lambda: reader, saw, lambda error: None)
    with changed:
        watch.start()
        assert changed.wait_for(lambda: len(seen) == 1, 60)
        shows(200)
        assert changed.wait_for(lambda: len(seen) == 2, 60)
        latest.close()
        assert changed.wait_for(lambda: len(seen) == 3, 60)
    watch.stop()
    assert [state.shared for state in seen] == [True, True, False]
    assert seen[1].lines is not None and seen[0].lines != seen[1].lines
    assert reader.sizes == [(1080, 1920, 3)] * 2


def test_what_is_no_film_is_misuse(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from cvi.errors import UsageError

    (tmp_path / "notes.mp4").write_text("no film")
    result = CliRunner().invoke(app, ["perceive", str(tmp_path / "notes.mp4")])
    assert isinstance(result.exception, UsageError) and result.exception.exit_status == 2
    result = CliRunner().invoke(app, ["perceive", "film.mp4", "--camera", "0"])
    assert isinstance(result.exception, UsageError)
