"""From pictures to sights: bad pictures, blinks, gaze and gestures of measures whose truth is written down."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cvi.perception.face_detection import FaceDetection, Rgb
from cvi.perception.face_measures import FaceMeasures, measure
from cvi.perception.looker import Looker
from cvi.perception.picture import PictureWatch
from cvi.perception.seeing import Seeing
from cvi.perception.sight import Sight
from cvi.perception.wording import Describer, NamedExpression

REST = FaceMeasures(
    yaw=2.0, pitch=-3.0, roll=0.0, x=0.5, y=0.5, width=0.3, bridge_x=0.5, bridge_y=0.4, eye_left=0.4,
    eye_right=0.4, iris_x=0.02, iris_y=0.01, opening=0.0, mouth_width=0.4, corners=0.01, brows=0.2, brow_gap=0.2,
)  # fmt: skip
FPS = 12.5


def watch(seeing: Seeing, face: FaceMeasures, start_s: float, seconds: float) -> list[Sight]:
    return [seeing.see(face, 1, start_s + index / FPS) for index in range(round(seconds * FPS))]


def calibrated() -> Seeing:
    seeing = Seeing()
    watch(seeing, REST, 0.0, 4.0)
    assert seeing.last.calibrated
    return seeing


def test_everything_is_measured_against_this_persons_own_neutral() -> None:
    seeing = calibrated()
    assert (seeing.last.yaw, seeing.last.pitch) == (0.0, 0.0)
    assert seeing.last.look == "screen"
    assert seeing.last.smile == 0.0
    (*_, last) = watch(seeing, replace(REST, corners=0.05, mouth_width=0.42), 4.0, 1.0)
    assert last.smile > 0.9
    (*_, last) = watch(seeing, replace(REST, brows=0.17), 5.0, 1.0)
    assert last.furrowed > 0.9 and last.raised < 0.1


@pytest.mark.parametrize(
    ("change", "look"),
    [
        ({"iris_x": 0.14}, "right"),
        ({"yaw": -16.0}, "left"),
        ({"iris_y": 0.04, "pitch": 5.0, "eye_left": 0.32, "eye_right": 0.32}, "down"),
        ({"pitch": -19.0}, "up"),
        # A head that turns while the eyes stay where they were looks at the screen.
        ({"yaw": 12.0, "iris_x": -0.045}, "screen"),
    ],
)
def test_gaze_is_of_head_and_eyes_together(change: dict[str, float], look: str) -> None:
    (*_, last) = watch(calibrated(), replace(REST, **change), 4.0, 0.5)
    assert last.look == look


def test_blinks_are_counted_and_a_long_closing_of_the_eyes_is_none() -> None:
    seeing, shut = calibrated(), replace(REST, eye_left=0.08, eye_right=0.08)
    watch(seeing, shut, 4.0, 0.16)
    watch(seeing, REST, 4.2, 1.0)
    assert seeing.last.blinks == 1
    watch(seeing, shut, 5.4, 2.0)
    watch(seeing, REST, 7.4, 1.0)
    assert seeing.last.blinks == 1


def test_nods_and_shakes_and_neither_in_talking() -> None:
    for axis, name in (("bridge_y", "nodded_s"), ("bridge_x", "shook_s")):
        seeing = calibrated()
        for index in range(20):
            moved = 0.012 * math.sin(2 * math.pi * 2.0 * index / FPS)
            seeing.see(replace(REST, **{axis: getattr(REST, axis) + moved}), 1, 4.0 + index / FPS)
        assert getattr(seeing.last, name) is not None
        other = {"nodded_s": "shook_s", "shook_s": "nodded_s"}[name]
        assert getattr(seeing.last, other) is None
    seeing = calibrated()
    for index in range(60):
        t_s = index / FPS
        sway = 0.006 * math.sin(2 * math.pi * 1.3 * t_s)
        face = replace(REST, bridge_x=0.5 + sway, bridge_y=0.4 + 0.9 * sway)
        seeing.see(face, 1, 4.0 + t_s)
    assert seeing.last.nodded_s is None and seeing.last.shook_s is None


def test_lips_that_part_eyes_that_come_back_and_leaning_are_noticed() -> None:
    seeing = calibrated()
    assert seeing.last.parted_s is None and seeing.last.returned_s is None
    watch(seeing, replace(REST, opening=0.06), 4.0, 0.5)
    assert seeing.last.parted_s == pytest.approx(4.0)
    watch(seeing, replace(REST, yaw=-16.0), 5.0, 1.0)
    watch(seeing, REST, 6.0, 1.0)
    assert seeing.last.look == "screen" and seeing.last.returned_s == pytest.approx(6.0, abs=0.01)
    describer = Describer()
    for width, words in ((0.38, "leaning in"), (0.22, "leaning back")):
        sights = watch(seeing, replace(REST, width=width), seeing.last.t_s + 0.1, 3.0)
        assert words in [describer.describe(sight) for sight in sights][-1]


def test_whoever_comes_after_a_while_is_calibrated_anew() -> None:
    seeing = calibrated()
    for index in range(140):
        seeing.see(None, 0, 4.0 + index / FPS)
    assert not seeing.see(replace(REST, brows=0.3), 1, 16.0).calibrated


def test_a_face_that_never_moves_may_be_a_photograph() -> None:
    seeing, describer = Seeing(), Describer()
    texts = [describer.describe(sight) for sight in watch(seeing, REST, 0.0, 25.0)]
    assert "photograph" in texts[-1] and "photograph" not in texts[60]


class OneFace:
    """A tracker that finds a face wherever the picture's upper half is brighter."""

    name = "one face"

    def __init__(self, landmarks: np.ndarray) -> None:
        self.landmarks = landmarks
        self.faces = 1

    def see(self, rgb: Rgb) -> FaceDetection:
        half = rgb.shape[0] // 2
        upright = rgb[:half].mean() > rgb[half:].mean() + 20
        seen = upright and self.faces > 0
        return FaceDetection(self.landmarks, self.faces) if seen else FaceDetection(None, 0)

    def close(self) -> None:
        pass


@pytest.fixture
def tracker() -> OneFace:
    points = np.random.default_rng(1).uniform(100, 200, (478, 3)).astype(np.float32)
    points[234], points[454], points[10], points[152] = (
        (80, 150, 0),
        (220, 150, 0),
        (150, 60, 0),
        (150, 240, 0),
    )
    return OneFace(points)


def pictured(seed: int = 0) -> Rgb:
    """An upright picture of 320x240 with a camera's noise."""
    picture = np.random.default_rng(seed).integers(0, 40, (240, 320, 3)).astype(np.uint8)
    picture[:120] += 120
    picture[120:] += 40
    return picture


def looked(
    looker: Looker, pictures: list[Rgb | None], start_s: float = 0.0, every_s: float = 0.1
) -> list[str]:
    describer = Describer()
    return [
        describer.describe(looker.look(picture, start_s + index * every_s))
        for index, picture in enumerate(pictures)
    ]


def test_a_black_a_covered_and_a_frozen_picture_are_told_apart(tracker: OneFace) -> None:
    black = np.zeros((240, 320, 3), np.uint8)
    assert looked(Looker(tracker), [black] * 10)[-1] == "The camera shows nothing: its picture is black."
    grey = np.full((240, 320, 3), 90, np.uint8)
    assert looked(Looker(tracker), [grey] * 10)[-1] == "The camera shows nothing: something covers it."
    assert looked(Looker(tracker), [pictured()] * 40)[-1] == "The camera's picture is frozen."
    assert "frozen" not in looked(Looker(tracker), [pictured(seed) for seed in range(40)])[-1]


def test_a_camera_that_is_unplugged_in_the_middle(tracker: OneFace) -> None:
    looker = Looker(tracker)
    texts = looked(looker, [pictured(seed) for seed in range(10)] + [None] * 30)
    assert texts[-1] == "No picture comes from the camera."
    assert "No picture" not in texts[9]
    assert looked(Looker(tracker), [None] * 5)[-1] == "No picture comes from the camera."


def test_a_video_on_its_side_is_turned(tracker: OneFace) -> None:
    looker = Looker(tracker)
    side = [np.ascontiguousarray(np.rot90(pictured(seed), 3)) for seed in range(60)]
    texts = looked(looker, side)
    assert "The picture lies on its side." in texts[-1]
    assert looker.last.present and looker.rgb is not None and looker.rgb.shape == (240, 320, 3)


def test_two_faces_no_face_and_darkness(tracker: OneFace) -> None:
    tracker.faces = 2
    assert (
        "Two people are in front of the camera."
        in looked(Looker(tracker), [pictured(s) for s in range(12)])[-1]
    )
    tracker.faces = 0
    assert (
        looked(Looker(tracker), [pictured(s) for s in range(12)])[-1] == "Nobody is in front of the camera."
    )
    tracker.faces = 1
    dim = [pictured(seed) // 6 for seed in range(40)]
    assert "very dark" in looked(Looker(tracker), dim)[-1]


def test_a_picture_watch_knows_a_slow_camera_from_one_that_is_gone() -> None:
    watch_ = PictureWatch()
    assert watch_.look(pictured(1), 0.0) == "good"
    assert watch_.look(None, 0.5) == "good"
    assert watch_.look(None, 2.0) == "none"
    assert watch_.look(pictured(2), 2.1) == "good"


def test_measures_are_the_same_near_and_far(tracker: OneFace) -> None:
    near, far = measure(tracker.landmarks, 640, 480), measure(tracker.landmarks / 2, 320, 240)
    for name in ("yaw", "pitch", "roll", "width", "eye_left", "iris_x", "mouth_width", "brows"):
        assert getattr(near, name) == pytest.approx(getattr(far, name), abs=1e-3)


def test_a_named_expression_says_how_sure_it_is_and_is_one_that_lasts() -> None:
    describer, rest = Describer(), Sight(0.0, "good", 1, REST, calibrated=True)

    def named(start_s: float, seconds: float, **changes: float) -> NamedExpression:
        times_s = [start_s + index / FPS for index in range(round(seconds * FPS))]
        return [describer.name(replace(rest, t_s=t_s, **changes)) for t_s in times_s][-1]

    assert named(0.0, 1.0, smile=0.1).name == "neutral"
    assert named(1.0, 0.4, smile=0.9).name == "neutral"
    happy = named(1.4, 0.6, smile=0.9)
    assert happy.name == "happy" and happy.confidence > 0.8
    assert named(2.0, 0.3, furrowed=0.9).name == "happy"
    assert named(2.3, 1.0, furrowed=0.9).name == "puzzled or displeased"
    assert named(3.3, 1.0, raised=0.9, opening=0.6).name == "surprised"
