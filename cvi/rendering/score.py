"""Speech -> the pose of every frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from math import ceil

from cvi.face.base import Controls
from cvi.face.behaviour import Behaviour
from cvi.face.cues import Cues
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import MouthReader
from cvi.rendering.recital import Recital

EMOTION_LEVEL = 0.7
_SPEAKING_AROUND_S = 0.5


def frame_count(recital: Recital, fps: int) -> int:
    """Frames that cover the whole sound."""
    return max(1, ceil(recital.duration_s * fps - 1e-6))


def mouth_of(recital: Recital, ear: MouthReader | None = None) -> MouthDriver:
    """The mouth's driver, fed with all pieces; its time is the film's. `ear` as in `MouthDriver`."""
    driver = MouthDriver(ear)
    for piece in recital.pieces:
        pcm = recital.pcm[piece.start : piece.start + piece.length]
        driver.append(piece.phones, pcm, piece.start_s)
    return driver


def poses(
    recital: Recital, fps: int, seed: int, emotion: str = "neutral", ear: MouthReader | None = None
) -> Iterator[Controls]:
    """The controls of each frame in order: of its middle, as it is seen for a whole frame's time.

    `emotion` is the face's own until the script names one. `ear` is the replica's own, for recorded
    speech. The same arguments give the same poses.
    """
    driver = mouth_of(recital, ear)
    behaviour = Behaviour(seed)
    starts = [piece.start_s for piece in recital.pieces]
    felt: list[str] = []
    for piece in recital.pieces:
        felt.append(piece.emotion or (felt[-1] if felt else emotion))
    for index in range(frame_count(recital, fps)):
        t_s = (index + 0.5) / fps
        # An emotion begins a moment before the words that it colours.
        here = max(bisect_right(starts, t_s + 0.3) - 1, 0)
        piece = recital.pieces[here]
        speaks = piece.start_s - _SPEAKING_AROUND_S < t_s < piece.end_s + _SPEAKING_AROUND_S
        cues = Cues(
            phrase_end=driver.phrase_end_at(t_s),
            emphasis=driver.emphasis_at(t_s),
            emotion=felt[here],
            emotion_level=0.0 if felt[here] == "neutral" else EMOTION_LEVEL,
        )
        yield behaviour.advance(t_s, "speaking" if speaks else "idle", driver.mouth_at(t_s), cues)
