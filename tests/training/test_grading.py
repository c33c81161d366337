"""The grader finds each fault and no other, on generated tracks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.audio.resample import resample
from cvi.engine_registry import build
from cvi.perception.face_detection import POINTS
from cvi.testing.footage.plans import GOOD_LINES
from cvi.training.footage.spans import flagged, moving_median, runs, spans
from cvi.training.footage.tracking import FaceTrack
from cvi.training.grading import grader
from cvi.training.grading.face_measures import head_pose, mouth_opening
from cvi.training.grading.faults import KINDS, GradingLimits
from cvi.training.grading.frame_measures import FrameMeasures, blur_of, text_rows
from cvi.training.grading.grade_page import format_spans, grade_as_data, grade_page
from cvi.training.grading.grader import grade_measures
from cvi.training.grading.picture_faults import strangeness
from cvi.training.grading.sound import SpeechMeasures, measure_speech
from cvi.tts.base import TtsSettings

FPS = 25
STILL_S = 6.0
WIDE = 240.0


@cache
def speech() -> Pcm:
    """Silence, half of the lines, silence, the rest, silence; 16 kHz."""

    async def say() -> list[Pcm]:
        voice = build("tts", "espeak", TtsSettings())
        pieces = []
        for line in GOOD_LINES:
            async with aclosing(voice.speak(line)) as spoken:
                pieces += [resample(piece.pcm, PLAYED_HZ, HEARD_HZ) async for piece in spoken]
            pieces.append(np.zeros(HEARD_HZ // 3, np.int16))
        voice.close()
        return pieces

    pieces = asyncio.run(say())
    still = np.zeros(round(STILL_S * HEARD_HZ), np.int16)
    half = len(pieces) // 2
    sound = np.concatenate([still, *pieces[:half], still, *pieces[half:], still])
    noise = np.random.default_rng(1).normal(0, 20, len(sound))
    return np.asarray(np.clip(sound * 0.5 + noise, -32768, 32767), np.int16)


def face() -> np.ndarray:
    """A face of points facing the camera, WIDE pixels from ear to ear, around the origin."""
    points = np.random.default_rng(0).normal(0, 0.2, (POINTS, 3))
    places = {
        234: (-0.5, 0.0, 0.3), 454: (0.5, 0.0, 0.3), 10: (0.0, -0.6, 0.05), 152: (0.0, 0.6, 0.155),
        33: (-0.3, -0.15, 0.05), 263: (0.3, -0.15, 0.05), 133: (-0.12, -0.15, 0.0), 362: (0.12, -0.15, 0.0),
        168: (0.0, -0.15, -0.05), 6: (0.0, -0.1, -0.08), 197: (0.0, 0.0, -0.12), 195: (0.0, 0.06, -0.15),
        2: (0.0, 0.18, -0.1), 61: (-0.18, 0.34, 0.0), 291: (0.18, 0.34, 0.0), 13: (0.0, 0.33, -0.05),
        14: (0.0, 0.33, -0.05), 0: (0.0, 0.29, -0.06), 17: (0.0, 0.39, -0.05),
    }  # fmt: skip
    for index, place in places.items():
        points[index] = place
    return points * WIDE


@cache
def good() -> tuple[FrameMeasures, Pcm]:
    """A film in which all is well: the mouth opens with the sound, and shuts for every third syllable."""
    pcm = speech()
    count = len(pcm) * FPS // HEARD_HZ
    step = HEARD_HZ // FPS
    loud = np.sqrt(np.mean(pcm[: count * step].reshape(count, step).astype(float) ** 2, axis=1))
    opening = np.clip(loud / 6000, 0, 1) * 0.14
    opening[loud < 120] = 0.0
    opening[np.arange(count) % 21 == 0] = 0.0
    rng = np.random.default_rng(2)
    sway = np.cumsum(rng.normal(0, 0.05, (count, 2)), axis=0)
    sway -= np.linspace(0, 1, count)[:, None] * sway[-1]
    landmarks = np.repeat(face()[None], count, axis=0)
    landmarks[:, :, :2] += sway[:, None] + [640, 330]
    landmarks[:, 14, 1] += opening * WIDE
    landmarks[:, 17, 1] += opening * WIDE
    landmarks += rng.normal(0, 0.15, landmarks.shape)
    basis = rng.uniform(60, 200, (6, 12, 16, 3))
    weights = rng.uniform(0, 1, (count, 6))
    weights[:, 0] = opening * 7
    patches = np.einsum("np,phwc->nhwc", weights / weights.sum(1, keepdims=True), basis)
    track = FaceTrack(
        times_s=np.arange(count) / FPS,
        landmarks=landmarks.astype(np.float32),
        present=np.ones(count, np.bool_),
        faces=np.ones(count, np.int32),
        width=1280,
        height=720,
        fps=float(FPS),
        tracker="made of numbers",
    )
    looks = FrameMeasures(
        track=track,
        scale=1.0,
        source_s=np.arange(count) / FPS,
        blur=rng.normal(0.32, 0.01, count),
        brightness=rng.normal(0, 0.0005, count),
        change=np.abs(rng.normal(0.3, 0.05, count)),
        text_rows=rng.integers(0, 2, count).astype(np.int32),
        patches=(patches + rng.normal(0, 2, patches.shape)).clip(0, 255).astype(np.uint8),
    )
    return looks, pcm


@dataclass
class Film:
    """What the grader asks of footage."""

    path: Path
    pcm: Pcm | None
    duration_s: float
    width: int = 1280
    height: int = 720
    fps: float = 25.0

    @property
    def has_sound(self) -> bool:
        return self.pcm is not None

    def sound(self) -> Pcm:
        assert self.pcm is not None
        return self.pcm

    def frames(self, *_: object, **__: object) -> Any:
        return iter(())


_measured: dict[int, SpeechMeasures] = {}


@pytest.fixture(autouse=True)
def listen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most films here have the same sound: it need not be listened to each time."""

    def once(pcm: Pcm) -> SpeechMeasures:
        key = hash(pcm.tobytes())
        if key not in _measured:
            _measured[key] = measure_speech(pcm)
        return _measured[key]

    monkeypatch.setattr(grader, "measure_speech", once)


def graded(tmp_path: Path, looks: FrameMeasures, pcm: Pcm | None) -> Any:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"the film")
    return grade_measures(Film(path, pcm, len(looks.track) / FPS), looks, GradingLimits())


def at(count: int, start_s: float, length_s: float) -> slice:
    assert (start_s + length_s) * FPS < count
    return slice(round(start_s * FPS), round((start_s + length_s) * FPS))


def changed(looks: FrameMeasures, **arrays: Callable[[np.ndarray], None]) -> FrameMeasures:
    """A copy with some arrays altered in place."""
    own, of_track = {}, {}
    for name, alter in arrays.items():
        array = np.array(getattr(looks, name) if hasattr(looks, name) else getattr(looks.track, name))
        alter(array)
        (own if hasattr(looks, name) else of_track)[name] = array
    return replace(looks, track=replace(looks.track, **of_track), **own)


def turn(landmarks: np.ndarray, yaw_deg: float) -> None:
    angle = np.deg2rad(yaw_deg)
    middle = landmarks.mean(1, keepdims=True)
    x, z = (landmarks - middle)[..., 0].copy(), (landmarks - middle)[..., 2].copy()
    landmarks[..., 0] = middle[..., 0] + np.cos(angle) * x - np.sin(angle) * z
    landmarks[..., 2] = middle[..., 2] + np.sin(angle) * x + np.cos(angle) * z


def spoilt(kind: str) -> tuple[FrameMeasures, Pcm | None]:
    looks, pcm = good()
    n = len(looks.track)
    here = at(n, 20.0, 3.0)
    if kind == "too_far":
        return replace(looks, scale=0.5), pcm
    if kind == "two_faces":
        return changed(looks, faces=lambda a: a.__setitem__(here, 2)), pcm
    if kind == "face_lost":
        return changed(
            looks,
            present=lambda a: a.__setitem__(here, False),
            landmarks=lambda a: a.__setitem__(here, np.nan),
            blur=lambda a: a.__setitem__(here, np.nan),
            faces=lambda a: a.__setitem__(here, 0),
        ), pcm
    if kind == "turned":
        return changed(looks, landmarks=lambda a: turn(a[here], 25.0)), pcm
    if kind == "caption":
        return changed(looks, text_rows=lambda a: a.__setitem__(here, 20)), pcm
    if kind == "blur":
        return changed(looks, blur=lambda a: a.__setitem__(here, 0.7)), pcm
    if kind == "flicker":
        return changed(looks, brightness=lambda a: np.copyto(a, 0.03 * np.sin(np.arange(n) * 1.3))), pcm
    if kind == "cut":
        where = here.start
        return changed(
            looks,
            change=lambda a: a.__setitem__(where, 4.0),
            landmarks=lambda a: np.copyto(a[where:], a[where:] + np.array([9.0, 0, 0])),
        ), pcm
    if kind == "covered":
        skin = np.array([180, 120, 100], np.uint8)
        return changed(
            looks, patches=lambda a: a.__setitem__((here, slice(2, None), slice(3, 13)), skin)
        ), pcm
    if kind == "stalls":
        return changed(looks, source_s=lambda a: np.copyto(a, np.floor(a * 10) / 10)), pcm
    if kind == "no_sound":
        return looks, None
    if kind == "noisy":
        noise = np.random.default_rng(3).normal(0, 900, len(pcm))
        return looks, np.asarray(np.clip(pcm + noise, -32768, 32767), np.int16)
    if kind == "offset":
        return looks, np.roll(pcm, round(0.2 * HEARD_HZ))
    if kind == "few_labials":
        return changed(looks, landmarks=lambda a: a[:, 14, 1].__iadd__(0.016 * WIDE)), pcm
    if kind == "no_stillness":
        quiver = 9.0 * np.sin(np.arange(n) * 0.9)
        return changed(looks, landmarks=lambda a: a[:, 14, 1].__iadd__(np.maximum(quiver, 0))), pcm
    if kind == "no_face":
        return changed(
            looks,
            present=lambda a: a.fill(False),
            landmarks=lambda a: a.fill(np.nan),
            blur=lambda a: a.fill(np.nan),
        ), pcm
    assert kind == "little_speech"
    keep = 45 * FPS
    track = replace(
        looks.track,
        **{name: getattr(looks.track, name)[:keep] for name in ("times_s", "landmarks", "present", "faces")},
    )
    arrays = ("source_s", "blur", "brightness", "change", "text_rows", "patches")
    short = replace(looks, track=track, **{name: getattr(looks, name)[:keep] for name in arrays})
    return short, pcm[: 45 * HEARD_HZ]


def test_good_footage_is_good(tmp_path: Path) -> None:
    grade = graded(tmp_path, *good())
    assert grade.faults == () and grade.verdict == "good"
    assert len(grade.clean) == 1 and len(grade.stills) >= 2
    assert grade.figures["face_px"] == pytest.approx(WIDE, rel=0.02)
    assert abs(grade.figures["sound_late_ms"]) <= 40 and grade.figures["sound_fits_mouth"] > 0.5


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_fault_is_named(tmp_path: Path, kind: str) -> None:
    grade = graded(tmp_path, *spoilt(kind))
    found = {fault.kind for fault in grade.faults}
    # Lips that never rest are neither still nor do they meet.
    beside = {"no_stillness": {"few_labials"}}.get(kind, set())
    assert kind in found and found <= {kind} | beside
    assert grade.verdict == ("unusable" if kind in ("no_face", "no_sound") else "usable")
    fault = next(fault for fault in grade.faults if fault.kind == kind)
    assert fault.message.endswith(".") and "{" not in fault.message
    if kind in ("two_faces", "face_lost", "turned", "caption", "blur", "covered"):
        assert len(fault.spans) == 1
        assert fault.spans[0] == pytest.approx((20.0, 23.0), abs=0.15)
        assert not any(a < 21.5 < b for a, b in grade.clean)
    if kind == "cut":
        assert fault.spans == ((20.0, 20.0),) and len(grade.clean) == 2
    if kind == "offset":
        assert grade.sound_late_s == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("late", [-0.28, -0.12, 0.16, 0.32])
def test_the_offset_is_measured(tmp_path: Path, late: float) -> None:
    looks, pcm = good()
    level = graded(tmp_path, looks, pcm).figures["sound_late_ms"]
    grade = graded(tmp_path, looks, np.roll(pcm, round(late * HEARD_HZ)))
    assert grade.figures["sound_late_ms"] - level == pytest.approx(late * 1000, abs=25)


def test_sound_that_fits_no_mouth_has_no_offset(tmp_path: Path) -> None:
    looks, pcm = good()
    grade = graded(tmp_path, looks, pcm[::-1].copy())
    assert "offset" not in {fault.kind for fault in grade.faults} and grade.sound_late_s == 0.0


@pytest.mark.parametrize("yaw", [-25.0, 0.0, 12.0])
def test_the_heads_turn_is_read_from_its_points(yaw: float) -> None:
    landmarks = face()[None].astype(np.float32)
    turn(landmarks, yaw)
    pose = head_pose(landmarks)
    assert abs(pose.yaw[0]) == pytest.approx(abs(yaw), abs=1.0)
    assert pose.turn[0] == pytest.approx(abs(yaw), abs=1.0)
    assert mouth_opening(landmarks)[0] == pytest.approx(0, abs=1e-3)


def test_blur_is_measured() -> None:
    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.integers(0, 255, (40, 40)).astype(np.uint8), (160, 160))
    values = [blur_of(cv2.GaussianBlur(picture, (0, 0), sigma)) for sigma in (0.5, 2.0, 5.0)]
    assert values == sorted(values) and values[2] - values[0] > 0.2
    assert blur_of(np.full((64, 64), 128, np.uint8)) == 1.0


def test_text_is_distinguished_from_a_mouth() -> None:
    plain = np.full((220, 192), 140, np.uint8)
    cv2.ellipse(plain, (96, 150), (30, 14), 0, 0, 360, 60, -1)  # an open mouth
    cv2.rectangle(plain, (75, 143), (117, 149), 230, -1)  # teeth
    assert text_rows(plain, 110, 220) == 0
    text = plain.copy()
    for colour, thick in ((0, 4), (255, 1)):
        cv2.putText(text, "and then he said", (8, 160), cv2.FONT_HERSHEY_DUPLEX, 0.6, colour, thick)
    assert text_rows(text, 110, 220) >= 6


def test_spans_bridge_and_forget() -> None:
    flags = np.array([0, 1, 1, 0, 1, 1, 0, 0, 0, 1], bool)
    assert runs(flags) == [(1, 3), (4, 6), (9, 10)]
    assert spans(flags, 10.0, least_s=0.3, bridge_s=0.2) == ((0.1, 0.6),)
    assert flagged([(0.1, 0.3), (0.9, 1.0)], 10, 10.0).tolist() == [0, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert moving_median(np.array([1.0, 9.0, 1.0, 1.0]), 1).tolist() == [9.0, 1.0, 1.0, 1.0]


def test_spans_are_formatted_in_words() -> None:
    assert format_spans([(0.0, 10.0)], 10.0) == "all of it"
    assert format_spans([(1.0, 2.25), (61.0, 61.0)], 90.0) == "0:01.0–0:02.2, 1:01.0"
    assert format_spans([(n, n) for n in range(9)], 90.0).endswith("and 3 more")


def test_a_hand_in_a_seventh_of_a_short_film_is_found() -> None:
    """It moves and is shaded: enough for components of its own, were they learned where it is."""
    looks, _ = good()
    n = 36 * FPS
    patches = looks.patches[:n].copy()
    here = slice(17 * FPS, 22 * FPS)
    columns = np.arange(16) * np.ones((12, 1))
    for index in range(here.start, here.stop):
        sway = 1.5 * np.sin(index * 0.2)
        fingers = 150 + 40 * np.sin((columns + sway) * 1.3)
        patches[index, 2:] = (fingers[..., None] * np.array([1.0, 0.75, 0.65])).astype(np.uint8)[2:]
    arrays = {name: getattr(looks.track, name)[:n] for name in ("times_s", "landmarks", "present", "faces")}
    short = replace(looks, patches=patches, track=replace(looks.track, **arrays))
    strange = strangeness(short, short.track.present)
    covered = np.zeros(n, np.bool_)
    covered[here] = True
    edge = round(0.4 * FPS)
    assert strange[here.start + edge : here.stop - edge].min() > GradingLimits().most_strange
    covered[here.start - edge : here.stop + edge] = True
    assert strange[~covered].max() < GradingLimits().most_strange


def test_speech_within_other_faults_is_reported_as_such(tmp_path: Path) -> None:
    looks, pcm = spoilt("turned")
    n = len(looks.track)
    looks = changed(looks, landmarks=lambda a: turn(a[at(n, 10.0, 40.0)], 25.0))
    fault = next(one for one in graded(tmp_path, looks, pcm).faults if one.kind == "little_speech")
    assert "something else is wrong" in fault.message
    short, pcm = spoilt("little_speech")
    (fault,) = graded(tmp_path, short, pcm).faults
    assert "something else" not in fault.message
    told = grade_page(graded(tmp_path, short, pcm), Film(tmp_path / "film.mp4", pcm, 45.0))
    assert "<code>cvi replica script</code>" in told


def test_the_page_is_complete_and_self_contained(tmp_path: Path) -> None:
    looks, pcm = spoilt("turned")
    grade = replace(graded(tmp_path, looks, pcm), film="<b>me</b>.mp4")
    path = tmp_path / "film.mp4"
    told = grade_page(grade, Film(path, pcm, grade.duration_s))
    for fault in grade.faults:
        assert fault.about.remedy in told
    assert told.count('role="img"') == 3 + len(grade.faults) and "0:20.0–0:23.0" in told
    assert "<b>me" not in told and "http" not in told and "<script" not in told
    data = grade_as_data(grade)
    assert data["faults"][0]["kind"] == "turned" and data["faults"][0]["remedy"]
