"""The control vector, and what a renderer must do.

Every renderer, sculpted or neural, is driven by the same small vector once a frame. The parts that
make it are `driver` (speech timeline -> mouth) and `behaviour` (state of the conversation -> the rest).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cvi.media.frames import Frame

Activity = Literal["idle", "listening", "thinking", "speaking"]


@dataclass(frozen=True, slots=True)
class Controls:
    """One frame's pose. Neutral is the default of every field.

    mouth (0..1 each): `jaw` opening, `wide` corners out, `round` protruded, `press` lips together,
    `tuck` lower lip to upper teeth, `tongue` tip visible. `smile` -1..1.
    lids: `lid_left`, `lid_right` 0 open .. 1 shut, slightly negative is wide.
    gaze (-1..1): `gaze_x` to the viewer's right, `gaze_y` up. brows -1 down .. 1 up; 0..1 each: `furrow`
    knits them, `worry` lifts their inner ends, `cheek` lifts the cheeks and with them the lower lids.
    head, degrees: `yaw` to the viewer's right, `pitch` down, `roll` clockwise for the viewer.
    `breath` 0..1 of a breath. `moment_s` is the time of the performance, seconds, and `activity` what is
    done at that time: a renderer of footage plays the person on to that moment, doing that; the others have
    no use for the two.

    Beyond its range a value counts as the range's end. An emotion and its intensity are not in here: the
    behaviour (`Cues.emotion`) turns them into these.
    """

    jaw: float = 0.0
    wide: float = 0.0
    round: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0
    smile: float = 0.0
    lid_left: float = 0.0
    lid_right: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    brow_left: float = 0.0
    brow_right: float = 0.0
    furrow: float = 0.0
    worry: float = 0.0
    cheek: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    breath: float = 0.0
    moment_s: float = 0.0
    activity: Activity = "idle"


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """`replica` is the replica's folder; size in pixels; `fps` frames per second.

    `background` is what stands behind the person: "room" (their own), "blur" (the room out of focus),
    "greenscreen", a colour as "#rrggbb", or the path of a picture.
    """

    replica: Path
    width: int = 1280
    height: int = 720
    fps: int = 25
    background: str = "room"


class FaceEngine(Protocol):
    name: str
    width: int
    height: int

    def render(self, controls: Controls) -> Frame:
        """Draw one frame: uint8 I420, shape (height * 3 // 2, width), BT.709 limited range.

        Blocking; called from one thread only. The array belongs to the caller.
        """

    def close(self) -> None: ...
