"""Reading a film's time stamps, and cutting a minute out of a track."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ
from cvi.bench.layers.lips import FilmTimestamps, cut, read_timestamps, timestamp_figures
from cvi.face.base import FaceSettings
from cvi.face.replica import find_replica
from cvi.media.decode import write_wav
from cvi.rendering.film_request import ResolvedFilm
from cvi.rendering.render_film import render_film
from cvi.rendering.speech_track import SpeechTrack, TrackSegment


def figures(stamps: FilmTimestamps, duration_s: float) -> dict[str, float]:
    return {figure.name: figure.values[0] for figure in timestamp_figures(stamps, 25, duration_s)}


async def test_a_film_of_ours_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path / "home"))
    noise = np.random.default_rng(0).normal(0, 3000, 9 * PLAYED_HZ).astype(np.int16)
    write_wav(tmp_path / "noise.wav", noise, PLAYED_HZ)
    face = FaceSettings(find_replica("june"), 160, 120)
    request = ResolvedFilm(tmp_path / "film.mp4", face, "sculpted", audio=tmp_path / "noise.wav")
    film = await render_film(request)
    found = figures(read_timestamps(film.path), film.duration_s)
    assert found["stamp_error_ms"] < 1e-6 and found["sound_gap_samples"] == 0
    assert found["sound_start_ms"] == 0 and found["missing_pictures"] == 0
    assert abs(found["end_ms"]) < 40


def test_faults_of_time_stamps_are_measured() -> None:
    late = FilmTimestamps(tuple(k / 25 + (0.001 if k > 50 else 0.0) for k in range(100)), (0, 0, 1024, 0), 0.02, 4.0)
    found = figures(late, 4.04)
    assert found["stamp_error_ms"] == pytest.approx(1.0)
    assert found["sound_gap_samples"] == 1024
    assert found["sound_start_ms"] == 20 and found["missing_pictures"] == 1
    assert found["end_ms"] == pytest.approx(0.0, abs=1e-6)


def test_a_part_of_a_speech_track_keeps_whole_segments() -> None:
    pcm = np.arange(10 * PLAYED_HZ, dtype=np.int64).astype(np.int16)
    pieces = tuple(TrackSegment(str(k), 2 * k * PLAYED_HZ, PLAYED_HZ) for k in range(5))
    part = cut(SpeechTrack(pcm, pieces), 3.5, 7.5)
    assert np.array_equal(part.pcm, pcm[round(3.5 * PLAYED_HZ) : round(7.5 * PLAYED_HZ)])
    assert [(piece.text, piece.start_s) for piece in part.segments] == [("2", 0.5), ("3", 2.5)]
