"""Every mouth shape and every emotion of a replica in one picture."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ
from cvi.face.base import Controls, Cues, FaceEngine, MouthShape
from cvi.face.behaviour import Behaviour
from cvi.face.driver import MouthDriver
from cvi.tts.base import Phone

Rgb = npt.NDArray[np.uint8]

# The visemes of MPEG-4 (ISO/IEC 14496-2, table of visemes), each by one of its sounds.
VISEMES = {
    "rest": "", "P B M": "m", "F V": "f", "TH": "θ", "T D": "t", "K G": "k", "CH SH": "ʃ", "S Z": "s",
    "N L": "l", "R": "ɹ", "W": "w", "AH": "ɑ", "EH": "ɛ", "IH": "ɪ", "EE": "i", "OH": "ɔ", "OO": "u",
}  # fmt: skip
EMOTIONS = (
    "neutral", "content", "happy", "excited", "surprised", "curious", "confused", "concerned", "sad",
    "scared", "angry", "disgusted", "contempt", "serious",
)  # fmt: skip
COLUMNS = 6
_SETTLE_S = 3.0


def viseme(ipa: str) -> MouthShape:
    """The mouth in the middle of one held sound, an IPA symbol; "" is the mouth at rest."""
    driver = MouthDriver()
    if ipa:
        loud = np.full(PLAYED_HZ, 9000, np.int16)
        driver.append([Phone(ipa, 0.4, 0.8, stress=1)], loud, 0.0)
    return driver.mouth_at(0.58)


def settled_emotion(emotion: str) -> Controls:
    """The face with `emotion` fully developed, eyes open and looking at the viewer."""
    behaviour = Behaviour(0)
    cues = Cues(emotion=emotion, emotion_level=1.0)
    settling = [behaviour.advance(index / 25, "idle", cues=cues) for index in range(int(_SETTLE_S * 25))]
    return max(settling[-30:], key=lambda pose: -pose.lid_left - abs(pose.gaze_x) - 0.1 * abs(pose.yaw))


def sheet_poses() -> Iterator[tuple[str, Controls]]:
    """The caption and the controls of each tile."""
    for name, ipa in VISEMES.items():
        mouth = viseme(ipa)
        yield name, Controls(
            jaw=mouth.jaw,
            wide=mouth.wide,
            round=mouth.round,
            press=mouth.press,
            tuck=mouth.tuck,
            tongue=mouth.tongue,
            smile=0.1,
        )
    for emotion in EMOTIONS:
        yield emotion, settled_emotion(emotion)
    yield "worry", Controls(worry=1.0, smile=0.1)
    yield "cheeks", Controls(cheek=1.0, smile=0.6)
    yield "shut", Controls(lid_left=1.0, lid_right=1.0, smile=0.1)
    yield "left, up", Controls(yaw=-10.0, pitch=-5.0, gaze_x=-0.7, smile=0.1)
    yield "right, down", Controls(yaw=10.0, pitch=6.0, gaze_x=0.7, smile=0.1)
    yield "brows up", Controls(brow_left=1.0, brow_right=1.0, smile=0.1)
    yield "brows down", Controls(brow_left=-1.0, brow_right=-1.0, furrow=1.0, smile=0.1)


def contact_sheet(face: FaceEngine) -> Rgb:
    """Draw all tiles -> one RGB picture: square, from the middle of the frames, COLUMNS in a row."""
    side = face.height
    # Only the face: hair and shoulders do not change.
    top, size_px = round(0.12 * side), round(0.72 * side)
    left = (face.width - size_px) // 2
    tiles = []
    for caption, controls in sheet_poses():
        rgb = cv2.cvtColor(face.render(controls), cv2.COLOR_YUV2RGB_I420)
        tile = np.ascontiguousarray(rgb[top : top + size_px, left : left + size_px])
        size = size_px / 560
        at = (round(14 * size), size_px - round(16 * size))
        font = cv2.FONT_HERSHEY_SIMPLEX  # drawn by OpenCV itself, without an installed font
        for colour, width in (((20, 20, 20), max(round(4 * size), 3)), ((245, 245, 245), 1)):
            cv2.putText(tile, caption, at, font, size, colour, width, cv2.LINE_AA)
        tiles.append(tile)
    while len(tiles) % COLUMNS:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.hstack(tiles[at : at + COLUMNS]) for at in range(0, len(tiles), COLUMNS)]
    return np.asarray(np.vstack(rows), np.uint8)


def as_png(picture: Rgb) -> bytes:
    """An RGB picture -> the bytes of a PNG."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    assert done
    return bytes(data)
