"""The arithmetic of the lips' figures, on landmarks that are known exactly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ, to_int16
from cvi.bench.layers.landmarks import (
    LEFT_CHEEK,
    LEFT_EYE,
    LOWER_LIP,
    MESH,
    RIGHT_CHEEK,
    RIGHT_EYE,
    UPPER_LIP,
    Landmarks,
    lip_moves,
    steady_moves,
    without_head_motion,
)
from cvi.bench.layers.lips import FilmMeasurement, asked_opening, closures, lip_figures
from cvi.rendering.speech_track import SpeechTrack, TrackSegment, speech_poses
from cvi.tts.base import Phone

FPS = 25


def speech_track() -> SpeechTrack:
    """Ten times "ma pa ba": shut and open."""
    phones, at = [], 0.0
    for _ in range(10):
        for consonant, vowel in (("m", "ɑ"), ("p", "ɑ"), ("b", "i")):
            phones.append(Phone(consonant, at, at + 0.09))
            phones.append(Phone(vowel, at + 0.09, at + 0.33, 1))
            at += 0.33
    rng = np.random.default_rng(0)
    pcm = to_int16(0.2 * rng.normal(size=round((at + 0.8) * PLAYED_HZ)))
    start = round(0.4 * PLAYED_HZ)
    return SpeechTrack(pcm, (TrackSegment("", start, round(at * PLAYED_HZ), tuple(phones)),))


def mesh(openings: list[float]) -> Landmarks:
    """A still face, 200 pixels wide, whose lips part as told."""
    rng = np.random.default_rng(1)
    points = np.repeat(rng.uniform(100, 300, (1, MESH, 2)), len(openings), axis=0).astype(np.float32)
    points[:, LEFT_CHEEK], points[:, RIGHT_CHEEK] = (100, 200), (300, 200)
    points[:, LEFT_EYE], points[:, RIGHT_EYE] = (150, 150), (250, 150)
    points[:, UPPER_LIP] = (200, 240)
    points[:, LOWER_LIP, 0], points[:, LOWER_LIP, 1] = 200, 240 + 40 * np.array(openings)
    return Landmarks(points, np.ones(len(openings), bool))


def measured(late_frames: int = 0, late_sound_s: float = 0.0) -> FilmMeasurement:
    said = speech_track()
    asked = tuple(speech_poses(said, FPS, 1))
    openings = [asked_opening(pose) for pose in asked]
    openings = [0.0] * late_frames + openings[: len(openings) - late_frames]
    sound = np.roll(said.pcm, round(late_sound_s * PLAYED_HZ))
    return FilmMeasurement(mesh(openings), sound, said, asked, FPS)


def value(film: FilmMeasurement, name: str) -> float:
    figure = next(figure for figure in lip_figures(film) if figure.name == name)
    return float(np.mean(figure.values))


def test_a_film_that_does_what_was_asked() -> None:
    film = measured()
    assert value(film, "opening_correlation") > 0.999 and value(film, "opening_rank") > 0.999
    assert value(film, "closed") == 1.0 and len(closures(film)) == 30
    assert abs(value(film, "av_offset_ms")) < 6 and abs(value(film, "av_drift_ms")) < 6
    assert value(film, "jump_percent") == 0.0 and value(film, "lip_jump_percent") > 0.0


@pytest.mark.parametrize("frames", [1, 2])
def test_late_pictures_and_late_sound_are_measured(frames: int) -> None:
    assert value(measured(late_frames=frames), "av_offset_ms") == pytest.approx(40 * frames, abs=8)
    assert value(measured(late_sound_s=0.03), "av_offset_ms") == pytest.approx(-30, abs=8)


def test_lips_that_stay_open_are_not_shut() -> None:
    film = measured()
    ajar = mesh([0.5 + 0.5 * asked_opening(pose) if k % 7 else 0.0 for k, pose in enumerate(film.asked)])
    wrong = FilmMeasurement(ajar, film.sound, film.speech, film.asked, FPS)
    assert np.mean(closures(wrong)) < 0.7


def test_a_jump_of_the_head_is_seen_and_the_lips_are_measured_without_it() -> None:
    film = measured()
    landmarks = mesh([0.0] * len(film.asked))
    landmarks.points[20:] += np.float32(10.0)
    steady, lips = steady_moves(landmarks), lip_moves(landmarks)
    assert max(steady) == pytest.approx(100 * np.hypot(10, 10) / 200, rel=1e-3)
    assert max(lips) < 0.01
    still = without_head_motion(landmarks)
    assert all(np.allclose(a, b, atol=0.01) for a, b in pairwise(still))
