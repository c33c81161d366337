"""Blinks: found, removed from the clips, and shown on request."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from puppet import FACE_PX, FPS, Puppet

from cvi.face.base import Controls
from cvi.face.neural.eyes import composed, no_blink
from cvi.face.planes import Planes, to_i420
from cvi.training.clips.eye_region import (
    EYES,
    LIDS,
    OpenEyes,
    blink_patches,
    closure,
    find_blinks,
    find_eye_closures,
)
from cvi.training.footage.face_geometry import crop_matrices

COUNT, SIDE = 150, 96
SHUT = {40: 0.3, 41: 0.8, 42: 1.0, 43: 0.9, 44: 0.5, 45: 0.2, 100: 0.6, 101: 1.0, 102: 0.95, 103: 0.4}
"""How far shut the eyes are in the frames of two blinks; 1 is shut."""


class Subject:
    """The puppet with eyes that are white and go dark as they shut, and lids among its landmarks."""

    def __init__(self, shut: dict[int, float]) -> None:
        self.puppet, self.shut = Puppet.make(COUNT / FPS), shut
        self.points = self.puppet.track().landmarks
        for index in range(COUNT):
            for (left, right), (up, low) in zip(EYES, LIDS, strict=True):
                middle = (self.points[index, left] + self.points[index, right]) / 2
                half = 0.5 * 0.03 * FACE_PX * (1 - shut.get(index, 0.0)) + 0.1
                self.points[index, up] = middle - [0, half, 0]
                self.points[index, low] = middle - [0, -half, 0]
        self.matrices = crop_matrices(self.points, [(0, COUNT)], SIDE)

    def frame(self, index: int) -> np.ndarray:
        """I420."""
        rgb = self.puppet.picture(index).copy()
        level = 235 - 175 * self.shut.get(index, 0.0)
        for left, right in EYES:
            x, y = (self.points[index, left] + self.points[index, right])[:2] / 2
            cv2.circle(rgb, (round(float(x)), round(float(y))), 4, (int(level),) * 3, -1, cv2.LINE_AA)
        return to_i420(rgb)

    def brightness(self, frame: np.ndarray, index: int) -> float:
        """Of the eyes, in a frame with the head of frame `index`."""
        spots = [(self.points[index, a] + self.points[index, b])[:2] / 2 for a, b in EYES]
        return float(np.mean([Planes.of(frame).luma[round(float(y)), round(float(x))] for x, y in spots]))

    def watched(self) -> tuple[OpenEyes, list[int], np.ndarray]:
        usable = np.ones(COUNT, np.bool_)
        return find_eye_closures(self.points, self.matrices, usable, [(0, COUNT)], SIDE, FACE_PX, FPS)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject(SHUT)


def test_blinks_are_found_with_their_depth(subject: Subject) -> None:
    shut = closure(subject.points, [(0, COUNT)], FPS)
    blinks = find_blinks(shut, [(0, COUNT)], FPS)
    assert [(blink.first, blink.peak, blink.end) for blink in blinks] == [(40, 42, 46), (100, 101, 104)]
    asked = np.array([SHUT.get(index, 0.0) for index in range(COUNT)])
    assert np.abs(shut - asked).max() < 0.15
    # One that the end of a piece cuts off is none.
    assert len(find_blinks(shut, [(0, 43), (43, COUNT)], FPS)) == 1


def test_clips_show_open_eyes(subject: Subject) -> None:
    open_eyes, _, _ = subject.watched()
    assert open_eyes.sources(39) == () and open_eyes.sources(42) == (39, 46)
    kept = {index: subject.frame(index) for index in range(38, 48)}
    assert open_eyes.show(39, kept) is kept[39]
    opened = subject.brightness(kept[39], 39)
    for index in range(40, 46):
        shown = open_eyes.show(index, kept)
        assert subject.brightness(shown, index) > 0.9 * opened, index
        assert subject.brightness(kept[42], 42) < 0.5 * opened, "the footage itself was changed"
        # The mouth is as it was.
        assert np.array_equal(Planes.of(shown).luma[90:], Planes.of(kept[index]).luma[90:])


def test_eyes_close_on_request_only(subject: Subject) -> None:
    open_eyes, frames, shut = subject.watched()
    kept = {index: subject.frame(index) for index in range(COUNT) if index in frames or index == 70}
    lids = blink_patches(frames, shut, open_eyes.eyes, subject.matrices, kept)
    assert lids.levels[-1] == 1.0 and (np.diff(lids.levels) > 0).all() and len(lids.levels) >= 3
    seen = []
    for wanted in (-0.2, 0.0, 0.05, 0.5, 1.0, 7.0):
        shown = kept[70].copy()
        lids.draw(shown, Controls(lid_left=wanted, lid_right=min(wanted, 0.0)), subject.matrices[70])
        seen.append(subject.brightness(shown, 70))
    assert seen[0] == seen[1] == seen[2] == subject.brightness(kept[70], 70)
    assert seen[2] > seen[3] + 20 > seen[4] + 40 and seen[5] == seen[4]


def test_without_a_blink_in_the_footage_requests_change_nothing() -> None:
    open_eyes, frames, _ = Subject({}).watched()
    assert frames == [] and open_eyes.blinks == ()
    frame = Subject({}).frame(3)
    shown = frame.copy()
    no_blink().draw(shown, Controls(lid_left=1.0, lid_right=1.0), np.eye(2, 3, dtype=np.float32))
    assert np.array_equal(frame, shown)


def test_affine_maps_compose() -> None:
    first = np.array([[2, 0, 5], [0, 2, -1]], np.float32)
    then = np.array([[0, -1, 3], [1, 0, 4]], np.float32)
    spot = np.array([7.0, 11.0, 1.0])
    between = np.append(first @ spot, 1.0)
    assert composed(first, then) @ spot == pytest.approx(then @ between)
