"""Gaze of a trained replica: the irises move to where the controls look, and nothing else changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from puppet import FACE_PX, Puppet

from cvi.face.base import Controls
from cvi.face.behaviour import Behaviour
from cvi.face.neural.eyes import GAZE_X, EyeTrack
from cvi.face.planes import Planes, to_i420
from cvi.training.clips.eye_region import EDGES, RINGS, Blink, eye_positions
from cvi.training.footage.face_geometry import crop_matrices

SIZE = (240, 120)
LONG, HIGH, RADIUS = 32.0, 14.0, 11.0
MIDDLES = np.array([[70.0, 60.0], [170.0, 58.0]])


def edges(middle: np.ndarray) -> np.ndarray:
    """(2, 9, 2): the lids of an open eye."""
    u = np.linspace(-1, 1, 9)
    bow = HIGH * (1 - u**2)
    return np.stack([np.stack([u * LONG, -bow], 1), np.stack([u * LONG, bow], 1)]) + middle


def face(aside: float = 0.0) -> tuple[np.ndarray, EyeTrack]:
    """Two eyes that look `aside`, half lengths of the eye: I420, and what is known of them."""
    rgb = np.full((SIZE[1], SIZE[0], 3), (200, 150, 120), np.uint8)
    rgb[..., 1] += np.random.default_rng(0).integers(0, 20, (SIZE[1], SIZE[0]), np.uint8)
    lids, irises = [], []
    for middle in MIDDLES:
        opening = np.zeros(rgb.shape[:2], np.uint8)
        upper, lower = edges(middle)
        outline = np.rint(np.concatenate([upper, lower[::-1]]) * 16).astype(np.int32)
        cv2.fillPoly(opening, [outline], 1, cv2.LINE_8, 4)
        eye = np.full_like(rgb, (235, 230, 228))
        at = middle + np.array([aside * LONG, 0])
        cv2.circle(
            eye, tuple(np.rint(at * 16).astype(int)), round(RADIUS * 16), (60, 40, 30), -1, cv2.LINE_AA, 4
        )
        rgb[opening > 0] = eye[opening > 0]
        lids.append(edges(middle))
        irises.append([*at, RADIUS])
    eyes = EyeTrack(
        np.array([lids], np.float32), np.array([irises], np.float32),
        np.array([-0.2, -0.1], np.float32), np.array([0.2, 0.1], np.float32),
    )  # fmt: skip
    return to_i420(rgb), eyes


def dark_at(frame: np.ndarray, side: int) -> np.ndarray:
    """The middle of an iris, frame pixels."""
    x, y = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    near = np.abs(x - MIDDLES[side, 0]) < LONG
    weight = np.clip(120.0 - Planes.of(frame).luma, 0, None) * near
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize(("look", "wanted"), [(-0.5, -0.17), (0.3, 0.102), (1.0, 0.2)])
def test_irises_move_as_requested_within_the_range_seen(look: float, wanted: float) -> None:
    frame, eyes = face()
    shown = frame.copy()
    eyes.turn(shown, Controls(gaze_x=look), 0)
    for side in range(2):
        moved = dark_at(shown, side) - dark_at(frame, side)
        assert moved[0] / LONG == pytest.approx(wanted, abs=0.02)
        assert abs(moved[1]) < 0.8


def test_up_is_up_and_the_iris_stays_whole() -> None:
    frame, eyes = face()
    for up in (-0.4, 0.4):
        shown = frame.copy()
        eyes.turn(shown, Controls(gaze_y=up), 0)
        assert np.sign(dark_at(shown, 0)[1] - dark_at(frame, 0)[1]) == -np.sign(up)
    shown = frame.copy()
    eyes.turn(shown, Controls(gaze_x=0.6), 0)
    before, after = (int((Planes.of(picture).luma < 100).sum()) for picture in (frame, shown))
    assert after == pytest.approx(before, rel=0.06)


def test_nothing_outside_the_opening_changes() -> None:
    frame, eyes = face()
    shown = frame.copy()
    eyes.turn(shown, Controls(gaze_x=0.7, gaze_y=0.5), 0)
    inside = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    for middle in MIDDLES:
        upper, lower = edges(middle)
        cv2.fillPoly(inside, [np.rint(np.concatenate([upper, lower[::-1]])).astype(np.int32)], 1)
    inside = cv2.dilate(inside, np.ones((5, 5)))
    assert (Planes.of(shown).luma != Planes.of(frame).luma).any()
    assert np.array_equal(Planes.of(shown).luma[inside == 0], Planes.of(frame).luma[inside == 0])
    coarse = cv2.dilate(
        cv2.resize(inside, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.ones((3, 3))
    )
    assert np.array_equal(Planes.of(shown).cb[coarse == 0], Planes.of(frame).cb[coarse == 0])


def test_a_gaze_ahead_changes_nothing_whatever_the_head() -> None:
    frame, eyes = face()
    behaviour = Behaviour(4)
    rested = 0
    for k in range(500):
        controls = behaviour.advance(k / 25, "listening")
        looks = controls.gaze_x + controls.yaw / 24, controls.gaze_y - controls.pitch / 19.5
        if max(map(abs, looks)) < 0.04:
            shown = frame.copy()
            eyes.turn(shown, controls, 0)
            assert np.array_equal(shown, frame)
            rested += 1
    assert rested > 200


def test_eyes_that_look_aside_move_back_only() -> None:
    frame, eyes = face(aside=0.25)
    own = np.array([0.25, 0.0], np.float32)
    assert eyes.shift(Controls(gaze_x=0.9), own) == (0.0, 0.0)
    right, down = eyes.shift(Controls(gaze_x=-0.5), own)
    assert right == pytest.approx(-0.5 * GAZE_X) and down == 0.0
    shown = frame.copy()
    eyes.turn(shown, Controls(gaze_x=-0.5), 0)
    assert dark_at(shown, 1)[0] < dark_at(frame, 1)[0] - 3


def test_the_displacement_grows_smoothly() -> None:
    _, eyes = face()
    own = np.zeros(2, np.float32)
    ways = np.array([eyes.shift(Controls(gaze_x=x), own)[0] for x in np.linspace(0, 1, 201)])
    assert ways[:7].max() == 0.0 and (np.diff(ways) >= 0).all() and np.diff(ways).max() < 0.005


def test_an_eye_at_the_border_of_the_frame_is_drawn() -> None:
    frame, eyes = face()
    for shift in ((-70, 0), (-1000, 0), (0, 70), (70, -70)):
        moved = EyeTrack(
            eyes.lids + np.float32(shift), eyes.irises + np.float32([*shift, 0]), eyes.least, eyes.most
        )
        drawn = frame.copy()
        moved.turn(drawn, Controls(gaze_x=0.8), 0)
        inside = shift != (-1000, 0)
        assert np.array_equal(drawn, frame) != inside, f"an eye moved by {shift}"


def test_eyes_are_found_in_the_footage_and_blinks_do_not_count() -> None:
    puppet = Puppet.make(4.0)
    points = puppet.track().landmarks
    count = len(points)
    look = 0.15 * np.sign(np.sin(np.arange(count) / 6))
    shut = range(40, 46)
    for (upper, lower), ring in zip(EDGES, RINGS, strict=True):
        for index in range(count):
            left, right = points[index, upper[0], :2], points[index, upper[-1], :2]
            along = (right - left) / 2
            across = np.array([-along[1], along[0]])
            high = 0.0 if index in shut else 0.4
            for k, u in enumerate(np.linspace(-1, 1, 9)[1:-1], 1):
                for edge, way in ((upper, -1), (lower, 1)):
                    points[index, edge[k], :2] = (
                        (left + right) / 2 + u * along + way * high * (1 - u * u) * across
                    )
            aside = -0.9 if index in shut else look[index]
            middle = (left + right) / 2 + aside * along
            points[index, list(ring), :2] = middle
            for k, turn in enumerate(((1, 0), (0, 1), (-1, 0), (0, -1))):
                points[index, ring[k + 1], :2] += 0.4 * (turn[0] * along + turn[1] * across)
    matrices = crop_matrices(points, [(0, count)], 96)
    eyes = eye_positions(points, matrices, np.ones(count, np.bool_), [Blink(40, 42, 46)], [(0, count)])
    assert eyes.least[0] == pytest.approx(-0.15, abs=0.02) and eyes.most[0] == pytest.approx(0.15, abs=0.02)
    assert np.abs(eyes.most[1]) < 0.02
    high = np.linalg.norm(eyes.lids[:, 0, 1, 4] - eyes.lids[:, 0, 0, 4], axis=1) / (0.16 * FACE_PX / 2)
    assert high.min() > 0.7, "an eye that is shown open was taken for shut"
    assert eyes.irises[20, 0, 2] == pytest.approx(0.4 * 0.08 * FACE_PX, rel=0.05)
