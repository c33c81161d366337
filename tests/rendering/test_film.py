"""Whole films, small: sound and picture together, resuming, and nothing half-written."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ, to_int16
from cvi.errors import CviError, UsageError
from cvi.face.base import FaceSettings
from cvi.face.replica import find_replica
from cvi.media.decode import read_audio, write_wav
from cvi.rendering.film_request import FilmRequest, ResolvedFilm
from cvi.rendering.output import captions
from cvi.rendering.render_film import render_film
from cvi.rendering.speech_track import (
    ScriptLine,
    SpeechTrack,
    TrackSegment,
    frame_count,
    load_track,
    save_track,
    speech_poses,
)
from cvi.tts.base import Phone, Word

FPS = 25


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    return tmp_path


def clicks(length_s: float, every_s: float = 1.0) -> np.ndarray:
    """A short buzz at each whole second: easy to find again."""
    t = np.arange(round(length_s * PLAYED_HZ)) / PLAYED_HZ
    return to_int16(np.where((t % every_s) < 0.15, 0.4 * np.sin(2 * np.pi * 220 * t), 0.0))


def request(folder: Path, length_s: float = 5.0, **changes: object) -> ResolvedFilm:
    sound = folder / "speech.wav"
    if not sound.exists():
        write_wav(sound, clicks(length_s), PLAYED_HZ)
    face = FaceSettings(find_replica("june"), 320, 180, FPS)
    return replace(
        ResolvedFilm(folder / "film.mp4", face, "sculpted", audio=sound),
        **changes,  # type: ignore[arg-type]
    )


def decoded(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
        return [float(frame.time or 0.0) for frame in frames], [frame.to_ndarray() for frame in frames]


async def test_sound_and_picture_are_in_sync(tmp_path: Path) -> None:
    film = await render_film(request(tmp_path))
    times, pictures = decoded(film.path)
    assert len(times) == film.frames and np.allclose(times, np.arange(len(times)) / FPS, atol=1e-6)
    heard = read_audio(film.path, PLAYED_HZ)
    sent = clicks(5.0)
    lag = np.argmax(np.correlate(heard[: 2 * PLAYED_HZ].astype(float), sent[:6000].astype(float)))
    assert abs(lag) / PLAYED_HZ < 0.002
    mouth = np.array([picture[100:132, 138:182].astype(float).mean() for picture in pictures])
    moves = np.abs(np.diff(mouth))
    for second in range(1, 5):
        around = moves[second * FPS - 3 : second * FPS + 6].max()
        assert around > 5 * moves[second * FPS + 13 : second * FPS + 20].max()


async def test_a_film_is_made_from_a_request_of_names(tmp_path: Path) -> None:
    text = "Good morning. <emotion value='happy'/> Here is a line."
    names = {"replica": "june", "profile": "embedded", "voice": "flite"}
    wanted = FilmRequest(output=tmp_path / "film.mp4", text=text, width=320, height=180, captions=True, **names)
    film = await render_film(wanted)
    times, _ = decoded(film.path)
    assert len(times) == film.frames == round(film.duration_s * FPS + 0.5)
    assert [segment.text for segment in film.track.segments] == ["Good morning.", "Here is a line."]
    assert film.captions is not None
    written = film.captions.read_text(encoding="utf-8")
    assert written.startswith("WEBVTT\n\n00:00:00.") and "\nGood morning.\n" in written


async def test_a_resumed_film_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = await render_film(request(tmp_path, output=tmp_path / "whole.mp4"))
    wanted = request(tmp_path)

    async def stopped_after(frames: int) -> None:
        running: asyncio.Task[object]

        def progress(step: str, done: int, of: int) -> None:
            if step == "picture" and done >= frames:
                loop.call_soon_threadsafe(running.cancel)

        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(render_film(wanted, progress))
        with pytest.raises((asyncio.CancelledError, CviError)):
            await running

    await stopped_after(110)
    assert not wanted.output.exists()
    film = await render_film(wanted)
    assert film.reused > 0 and film.frames == whole.frames
    assert all(
        np.array_equal(a, b) for a, b in zip(decoded(whole.path)[1], decoded(film.path)[1], strict=True)
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.mp4", "home", "speech.wav", "whole.mp4"]
    assert not any((tmp_path / "home" / "renders").iterdir())


async def test_failed_films_leave_no_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file|There is no"):
        await render_film(request(tmp_path, audio=tmp_path / "none.wav"))
    write_wav(tmp_path / "quiet.wav", np.zeros(PLAYED_HZ, np.int16), PLAYED_HZ)
    with pytest.raises(UsageError, match="silent"):
        await render_film(request(tmp_path, audio=tmp_path / "quiet.wav"))
    with pytest.raises(UsageError, match="background"):
        wanted = request(tmp_path)
        await render_film(replace(wanted, face=replace(wanted.face, background="beach")))
    with pytest.raises(UsageError, match="MP4"):
        await render_film(request(tmp_path, output=tmp_path / "film.avi"))
    assert not list(tmp_path.glob("*.mp4")) and not list(tmp_path.glob(".*"))


async def test_an_impossible_picture_is_refused_before_speech_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def synthesize(*_: object) -> SpeechTrack:
        pytest.fail("the speech was made for nothing")

    monkeypatch.setattr("cvi.rendering.render_film.synthesize", synthesize)
    line = ScriptLine("Good morning.", 0.0)
    wanted = request(tmp_path, audio=None, script=(line,), voice_engine="flite")
    for face in (
        replace(wanted.face, background="beach"),
        replace(wanted.face, width=640, height=1280),
        replace(wanted.face, width=322, height=181),
    ):
        with pytest.raises(UsageError, match=r"background|cannot be drawn|too narrow"):
            await render_film(replace(wanted, face=face))
    assert not (tmp_path / "home" / "renders").exists() and not wanted.output.exists()


def track() -> SpeechTrack:
    text = "Ham and peas are on the table, and there is plenty more of both in the kitchen."
    words, phones, at = [], [], 0
    for index, word in enumerate(text.split()):
        start = text.index(word, at)
        at = start + len(word)
        words.append(Word(start, at, index * 0.3, index * 0.3 + 0.25))
        phones += [
            Phone("m", index * 0.3, index * 0.3 + 0.1),
            Phone("ɑ", index * 0.3 + 0.1, index * 0.3 + 0.25, 1),
        ]
    pcm = clicks(6.0)
    said = TrackSegment(text, 9600, len(pcm) - 9600 - 12000, tuple(phones), tuple(words), "happy")
    return SpeechTrack(pcm, (said,))


def test_a_track_is_saved_and_loaded(tmp_path: Path) -> None:
    saved = track()
    save_track(saved, tmp_path)
    loaded = load_track(tmp_path)
    assert loaded is not None
    assert loaded.segments == saved.segments and np.array_equal(loaded.pcm, saved.pcm)
    (tmp_path / "speech.wav").unlink()
    assert load_track(tmp_path) is None


def test_captions_cover_the_words_in_time() -> None:
    shown = captions(track())
    assert " ".join(" ".join(caption.text.split()) for caption in shown) == track().segments[0].text
    assert all(len(row) <= 48 for caption in shown for row in caption.text.split("\n"))
    assert all(a.end_s <= b.start_s for a, b in pairwise(shown))
    assert abs(shown[0].start_s - 0.4) < 1e-6


def test_every_frame_has_a_pose_that_depends_on_the_seed() -> None:
    first, again, other = (list(speech_poses(track(), FPS, seed)) for seed in (1, 1, 2))
    assert len(first) == frame_count(track(), FPS) == 150
    assert first == again != other
    assert [pose.jaw for pose in first] == [pose.jaw for pose in other]
    assert max(pose.smile for pose in first) > 0.3
