"""Pictures of transports: films in a camera's place, a room's tracks, a screen of 4K."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from cvi.cli.app import app
from cvi.media.live_picture import FilmPicture, LivePicture
from cvi.perception.screen_watch import ScreenState, ScreenWatch
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


def test_a_track_of_4k_is_scaled_down_and_one_that_ended_shows_nothing() -> None:
    latest = LatestFrame((256, 144))
    assert latest.rgb(640) is None
    latest._newest = av.VideoFrame.from_ndarray(np.full((2160, 3840, 3), 200, np.uint8), format="rgb24")
    shown = latest.rgb(1920)
    assert shown is not None and shown.shape == (1080, 1920, 3) and abs(int(shown.mean()) - 200) < 4
    latest.close()
    assert latest.rgb(640) is None


class Lines:
    """A reader that tells the brightness of what it is given."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, ...]] = []

    def read(self, rgb: np.ndarray) -> list[str]:
        self.sizes.append(rgb.shape)
        return [f"brightness {int(rgb.mean())}"]


def test_a_screen_is_read_when_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr("cvi.perception.screen_watch.LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("cvi.perception.screen_watch.LEAST_BETWEEN_S", 0.0)
    latest, seen, reader, changed = LatestFrame((256, 144)), [], Lines(), threading.Condition()

    def saw(state: ScreenState) -> None:
        with changed:
            seen.append(state)
            changed.notify()

    def shows(value: int) -> None:
        latest._newest = av.VideoFrame.from_ndarray(np.full((2160, 3840, 3), value, np.uint8), format="rgb24")

    shows(100)
    watch = ScreenWatch(latest, lambda: reader, lambda: 0.0, saw, lambda error: None)
    with changed:
        watch.start()
        assert changed.wait_for(lambda: len(seen) == 1, 20)
        shows(200)
        assert changed.wait_for(lambda: len(seen) == 2, 20)
        latest.close()
        assert changed.wait_for(lambda: len(seen) == 3, 20)
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
