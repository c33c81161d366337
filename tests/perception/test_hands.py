"""A hand at the face: where it is, what is none, and that one look alone is not believed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cvi.perception.face_detection import FaceDetection, Points, Rgb
from cvi.perception.hands import EVERY_S, HandWatch, hand_at_face
from cvi.perception.wording import Describer
from tests.perception.test_seeing import REST, calibrated, watch

SPOTS = {
    10: (0, -70), 9: (0, -45), 159: (-25, -30), 145: (-25, -22), 386: (25, -30), 374: (25, -22), 4: (0, 5),
    197: (0, -10), 13: (0, 33), 14: (0, 37), 152: (0, 75), 175: (0, 65), 50: (-30, 0), 205: (-28, 18),
    280: (30, 0), 425: (28, 18), 234: (-50, -15), 454: (50, -15), 172: (-42, 40), 397: (42, 40),
    162: (-45, -45), 389: (45, -45), 109: (-25, -65), 108: (-20, -50), 338: (25, -65), 337: (20, -50),
    148: (-15, 72), 377: (15, 72),
}  # fmt: skip
"""The mesh of a face 100 pixels wide in the middle of a picture of 640x480; the other points lie at its nose."""


def face() -> Points:
    points = np.zeros((478, 3), np.float32)
    for index, spot in SPOTS.items():
        points[index, :2] = spot
    points[:, :2] += (320, 240)
    return points


def hand(tips: tuple[float, float], wrist: tuple[float, float]) -> Points:
    """A hand from its wrist to the tips of its fingers, both from the middle of the face."""
    points = np.zeros((21, 3), np.float32)
    along = np.array([0.0] + 5 * [0.6, 0.75, 0.93, 1.0])[:, None]
    points[:, :2] = (1 - along) * np.array(wrist) + along * np.array(tips) + (320, 240)
    points[1:, 0] += np.repeat(np.arange(-8, 9, 4), 4)
    return points


@pytest.mark.parametrize(
    ("tips", "wrist", "place"),
    [
        ((-5, 70), (-20, 170), "chin"),
        ((0, 38), (40, 160), "mouth"),
        ((34, 8), (80, 130), "cheek"),
        ((-24, -26), (-100, 80), "eyes"),
        ((0, -62), (90, 60), "forehead"),
        ((-54, -18), (-110, 90), "side of the head"),
        ((0, 130), (0, 250), ""),
        ((160, 0), (160, 130), ""),
    ],
)
def test_where_on_the_face_a_hand_is(
    tips: tuple[float, float], wrist: tuple[float, float], place: str
) -> None:
    assert hand_at_face([hand(tips, wrist)], face()) == place
    assert hand_at_face([hand((0, 400), (0, 500)), hand(tips, wrist)], face()) == place


def test_ears_and_faces_are_no_hands() -> None:
    ear = hand((-50, -25), (-52, 5))
    itself = hand((0, -60), (0, 60))
    assert hand_at_face([ear, itself], face()) == ""


class Hands:
    """Finds the hand that it was given, and the face that is always there."""

    name = "hands"

    def __init__(self) -> None:
        self.there: Points | None = None
        self.asked: list[tuple[int, ...]] = []

    def see(self, rgb: Rgb) -> FaceDetection:
        return FaceDetection(face(), 1)

    def hands(self, rgb: Rgb) -> list[Points]:
        self.asked.append(rgb.shape)
        # In pixels of the part around the face: 200 to every side of the middle of its points.
        left_top = np.maximum(face()[:468, :2].mean(0) - 200, 0).astype(int)
        return [] if self.there is None else [self.there - np.array([*left_top, 0], np.float32)]

    def close(self) -> None:
        pass


def test_a_hand_is_believed_at_two_looks_in_a_row_and_gone_at_two() -> None:
    finder, rgb = Hands(), np.zeros((480, 640, 3), np.uint8)
    watched, at_s = HandWatch(finder), iter(np.arange(0.0, 100.0, EVERY_S))
    chin, mouth = hand((-5, 70), (-20, 170)), hand((0, 38), (40, 160))
    seen = []
    for there in (None, chin, None, chin, mouth, chin, mouth, mouth, None, mouth, None, None):
        finder.there = there
        seen.append(watched.look(rgb, face(), float(next(at_s))))
    assert seen == ["", "", "", "", "mouth", "mouth", "mouth", "mouth", "mouth", "mouth", "mouth", ""]
    assert set(finder.asked) == {(400, 400, 3)}
    finder.there = chin
    assert watched.look(rgb, None, 50.0) == "" and len(finder.asked) == 12


def test_hands_are_looked_for_seldom_and_told_in_words() -> None:
    finder, rgb = Hands(), np.zeros((480, 640, 3), np.uint8)
    watched, seeing, describer = HandWatch(finder), calibrated(), Describer()
    finder.there = hand((-54, -18), (-110, 90))
    for index in range(60):
        t_s = 4.0 + index / 12
        text = describer.describe(seeing.see(REST, 1, t_s, hand=watched.look(rgb, face(), t_s)))
    assert text == "They are looking at you. A hand is at the side of their head."
    assert len(finder.asked) == pytest.approx(60 / 12 / EVERY_S, abs=1)


def test_a_covered_mouth_neither_smiles_nor_talks_and_is_no_new_neutral() -> None:
    seeing = calibrated()
    smiling = replace(REST, corners=0.05, mouth_width=0.42, opening=0.06)
    sight = [seeing.see(smiling, 1, 4.0 + index / 12.5, hand="mouth") for index in range(600)][-1]
    assert sight.smile < 0.05 and sight.opening == 0.0 and not sight.talking and sight.hand == "mouth"
    (*_, last) = watch(seeing, smiling, 53.0, 1.0)
    assert last.smile > 0.5
