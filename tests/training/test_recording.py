"""The recorder films picture and sound, shows the script, and gives advice."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from films import make_film

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame

from cvi.errors import CviError
from cvi.media.decode import read_audio
from cvi.media.encode import SOUND_HZ
from cvi.perception.face_detection import POINTS, FaceDetection
from cvi.training.footage.reader import Rgb, open_footage
from cvi.training.recording.capture import FilmCamera, RecordedSound
from cvi.training.recording.footage_recorder import FPS, FootageRecorder, recording_path, rescue_recording
from cvi.training.recording.reading_script import PrompterCue, ReadingScript, ScriptPart, Teleprompter
from cvi.training.recording.screen import ALERT, GOOD, RecorderView, _fitted, draw_view, framing_advice

SHEET = ReadingScript(
    "en",
    "English",
    (
        ScriptPart("still", "Do nothing.", 1.0),
        ScriptPart("read", "Read.", 3.0, "happy", ("One two three.", "Four five six.")),
    ),
)


def face(width: float, x: float = 640.0, y: float = 324.0, nose: float = 0.0) -> FaceDetection:
    points = np.zeros((POINTS, 3), np.float32)
    for index, place in {234: (-0.5, 0, 0.3), 454: (0.5, 0, 0.3), 10: (0, -0.6, 0), 152: (0, 0.6, 0)}.items():
        points[index] = np.array(place) * width
    points[234, 2] += nose * width
    return FaceDetection(points + np.array([x, y, 0], np.float32), 1)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (FaceDetection(None, 0), "cannot see"),
        (FaceDetection(np.zeros((POINTS, 3), np.float32), 2), "second face"),
        (face(150), "closer"),
        (face(400), "back"),
        (face(280, x=800), "your right"),
        (face(280, x=480), "your left"),
        (face(280, y=450), "Lower the camera"),
        (face(280, y=200), "Raise the camera"),
        (face(280, nose=0.4), "Face the camera"),
        (face(280), ""),
    ],
)
def test_the_guide_gives_one_advice(seen: FaceDetection, said: str) -> None:
    told = framing_advice(seen, 1280, 720)
    assert said in told and bool(said) == bool(told)


class Looking:
    """A tracker that tells when it was closed."""

    name = "looking"
    closed = False

    def see(self, rgb: Rgb) -> FaceDetection:
        return face(280.0)

    def close(self) -> None:
        self.closed = True


def test_the_recorder_writes_picture_sound_and_the_lines_read(tmp_path: Path) -> None:
    pygame.font.init()
    source = make_film(tmp_path / "source.mp4", [n / 25 for n in range(300)], sound_s=12.0)
    now = 100.0

    def clock() -> float:
        nonlocal now
        now += 0.01
        return now

    tracker = Looking()
    eye = FilmCamera(open_footage(source).frames(FPS), now)
    ear = RecordedSound(read_audio(source, SOUND_HZ), now)
    recorder = FootageRecorder(eye, ear, Teleprompter(SHEET), tracker, now_s=clock, start_at_once=True)
    made = recorder.run(tmp_path / "me.mp4", screen=pygame.Surface((640, 430)))
    assert made is not None and tracker.closed
    film = open_footage(made.film)
    assert film.fps == pytest.approx(FPS) and film.has_sound
    assert made.complete
    assert made.script.read_text().splitlines() == ["One two three.", "Four five six."]
    sound = read_audio(made.film, SOUND_HZ)
    assert len(sound) / SOUND_HZ == pytest.approx(made.duration_s, abs=0.3)
    assert np.abs(sound[SOUND_HZ:]).max() > 4000
    greys = [frame.rgb.mean() for frame in film.frames(FPS)]
    assert len(greys) == round(made.duration_s * FPS) and len(set(np.round(greys))) > 20
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_reader_who_leaves_before_starting_leaves_nothing(tmp_path: Path) -> None:
    pygame.font.init()
    source = make_film(tmp_path / "source.mp4", [n / 25 for n in range(5)], sound_s=0.2)
    eye = FilmCamera(open_footage(source).frames(FPS), 0.0)
    ear = RecordedSound(np.zeros(10, np.int16))
    ticks = iter(range(1000))
    recorder = FootageRecorder(eye, ear, Teleprompter(SHEET), None, now_s=lambda: next(ticks) * 0.04)
    assert recorder.run(tmp_path / "me.mp4", screen=pygame.Surface((320, 215))) is None
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"]


class Interrupting(FilmCamera):
    """A film in the camera's place; after some looks somebody presses Ctrl-C, pulls the plug, or the disk
    is full."""

    def __init__(self, film: Path, began_s: float, looks: int, what: BaseException) -> None:
        super().__init__(open_footage(film).frames(FPS), began_s)
        self.looks, self.what = looks, what

    def latest(self, now_s: float) -> Rgb | None:
        self.looks -= 1
        if self.looks == 0:
            raise self.what
        return super().latest(now_s)


def recorder_until(tmp_path: Path, looks: int, what: BaseException) -> FootageRecorder:
    """A recorder that records from its first look on, at 20 ms a look."""
    pygame.font.init()
    source = make_film(tmp_path / "source.mp4", [n / 25 for n in range(300)], sound_s=12.0)
    now = 100.0

    def clock() -> float:
        nonlocal now
        now += 0.01
        return now

    eye = Interrupting(source, now, looks, what)
    ear = RecordedSound(read_audio(source, SOUND_HZ), now)
    return FootageRecorder(eye, ear, Teleprompter(SHEET), None, now_s=clock, start_at_once=True)


def test_ctrl_c_keeps_what_was_filmed(tmp_path: Path) -> None:
    made = recorder_until(tmp_path, 150, KeyboardInterrupt()).run(
        tmp_path / "me.mp4", pygame.Surface((320, 215))
    )
    assert made is not None and not made.complete
    assert (
        open_footage(made.film).duration_s == pytest.approx(made.duration_s, abs=0.2) and made.duration_s > 2
    )
    assert not recording_path(made.film).exists()
    with pytest.raises(KeyboardInterrupt):  # nothing was filmed: then it is what it always is
        recorder_until(tmp_path, 1, KeyboardInterrupt()).run(tmp_path / "you.mp4", pygame.Surface((320, 215)))


class Killed(BaseException):
    pass


def test_an_interrupted_recording_is_recovered_by_the_next(tmp_path: Path) -> None:
    output = tmp_path / "me.mp4"
    with pytest.raises(Killed):
        recorder_until(tmp_path, 200, Killed()).run(output, pygame.Surface((320, 215)))
    assert recording_path(output).exists() and not output.exists()
    rescued = rescue_recording(output)
    assert rescued == tmp_path / "me-rescued.mp4"
    film = open_footage(rescued)
    assert film.has_sound and film.duration_s > 2 and not recording_path(output).exists()
    assert rescue_recording(output) is None
    recording_path(output).write_bytes(b"")  # killed before the first half second: nothing in it
    assert rescue_recording(output) is None and not recording_path(output).exists()
    with pytest.raises(Killed):
        recorder_until(tmp_path, 200, Killed()).run(output, pygame.Surface((320, 215)))
    assert rescue_recording(output) == tmp_path / "me-rescued-2.mp4" and rescued.exists()


def test_a_full_disk_is_reported_with_the_films_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cvi.training.recording import footage_recorder as module

    def full(recording: Path, output: Path) -> None:
        raise CviError(f"Cannot write {output}: {os.strerror(errno.ENOSPC)}.", "Free some space.")

    output = tmp_path / "me.mp4"
    with monkeypatch.context() as patched, pytest.raises(CviError, match="No space left") as caught:
        patched.setattr(module, "remux", full)
        recorder_until(tmp_path, 150, KeyboardInterrupt()).run(output, pygame.Surface((320, 215)))
    assert str(recording_path(output)) in caught.value.remedy
    film = rescue_recording(output)
    assert film is not None and open_footage(film).duration_s > 2


def scene(**changes: object) -> RecorderView:
    given = {
        "rgb": np.full((90, 160, 3), 128, np.uint8), "cue": PrompterCue("read", "Say it " * 9, "happy", 4.0),
        "coming": "And then this.", "share": 0.5, "level_db": -20.0, "advice": "", "elapsed_s": None,
        "left_s": 60.0, "hint": "Space starts",
    }  # fmt: skip
    return RecorderView(**{**given, **changes})  # type: ignore[arg-type]


def shown(**changes: object) -> np.ndarray:
    pygame.font.init()
    surface = pygame.Surface((640, 430))
    draw_view(surface, scene(**changes))
    return pygame.surfarray.array3d(surface).transpose(1, 0, 2)


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(2).sum())


def test_the_screen_shows_words_oval_and_level() -> None:
    ready = shown()
    assert count(ready, GOOD) > 400 and count(ready, ALERT) == 0
    assert count(shown(advice="Come closer"), ALERT) > 400
    quiet, loud = (count(shown(level_db=db, elapsed_s=3.0), GOOD) for db in (-35.0, -10.0))
    assert loud > quiet > 0  # the oval is gone while recording: what is green is the level
    assert shown(rgb=None, cue=None).any()
    hints = [count(shown(level_db=db, elapsed_s=3.0)[:, :560], ALERT) for db in (-20.0, -1.0)]
    assert hints[1] > hints[0] + 500  # "too loud", left of the level


def test_long_lines_are_shown_whole_and_even() -> None:
    pygame.font.init()
    text = " ".join(["seventeen"] * 11)
    lines, font = _fitted(text, 860, 0.062, 1100.0)
    assert " ".join(lines) == text and 2 <= len(lines) <= 3
    widths = [font.size(line)[0] for line in lines]
    assert max(widths) <= 1100 and min(widths) > 0.5 * max(widths)


def test_a_slow_machine_films_fewer_frames_at_the_right_times(tmp_path: Path) -> None:
    pygame.font.init()
    source = make_film(tmp_path / "source.mp4", [n / 25 for n in range(250)], sound_s=10.0)
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.06  # a look takes three frames' time
        return now

    eye = FilmCamera(open_footage(source).frames(FPS), 0.0)
    ear = RecordedSound(read_audio(source, SOUND_HZ), 0.0)
    made = FootageRecorder(eye, ear, Teleprompter(SHEET), None, now_s=clock, start_at_once=True).run(
        tmp_path / "me.mp4", screen=pygame.Surface((320, 215))
    )
    assert made is not None and made.duration_s > 6
    film = open_footage(made.film)
    assert film.duration_s == pytest.approx(made.duration_s, abs=0.3)
    own = {round(frame.source_s, 3) for frame in film.frames(FPS)}
    assert 0.25 < len(own) / (made.duration_s * FPS) < 0.45
    assert np.diff(sorted(own)).max() < 0.2
