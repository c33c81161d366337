"""What the face is driven by, and what an engine that draws it must do.

`MouthShape` comes from the mouth driver (`driver`), everything else of `Controls` from `behaviour`, which is
told by `Cues` what happens in the conversation. Each engine (`sculpted`, `neural`, `photo`) draws one frame
from one `Controls`. Left and right are the viewer's throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from cvi.media.frames import Frame

Activity = Literal["idle", "listening", "thinking", "speaking"]


@dataclass(frozen=True, slots=True)
class MouthShape:
    """The mouth's part of `Controls` at one moment; each field 0..1, as there.

    Rest is all zeros: lips touch, nothing is tensed.
    """

    jaw: float = 0.0
    wide: float = 0.0
    round: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0


REST = MouthShape()


@dataclass(frozen=True, slots=True)
class Controls:
    """The control vector of one frame. The default of every field is neutral.

    An engine treats a value beyond its range as the end of the range. Emotion is not a field: the behaviour
    turns `Cues.emotion` into these.
    """

    jaw: float = 0.0
    """Opening of the mouth, 0 shut .. 1 as far as it goes."""
    wide: float = 0.0
    """Corners of the mouth pulled out, 0..1."""
    round: float = 0.0
    """Lips protruded and rounded, 0..1."""
    press: float = 0.0
    """Lips pressed together, 0..1, whatever the jaw does."""
    tuck: float = 0.0
    """Lower lip at the upper teeth, 0..1."""
    tongue: float = 0.0
    """Tip of the tongue visible, 0..1."""
    smile: float = 0.0
    """Corners of the mouth, -1 down .. 1 up."""
    lid_left: float = 0.0
    """Left eyelids: -0.2 wide, 0 open, 1 shut."""
    lid_right: float = 0.0
    """Right eyelids: -0.2 wide, 0 open, 1 shut."""
    gaze_x: float = 0.0
    """Eyes in the head, -1 left .. 1 right; 1 is about 24 degrees."""
    gaze_y: float = 0.0
    """Eyes in the head, -1 down .. 1 up; 1 is about 19 degrees."""
    brow_left: float = 0.0
    """Left brow, -1 down .. 1 up."""
    brow_right: float = 0.0
    """Right brow, -1 down .. 1 up."""
    furrow: float = 0.0
    """Brows drawn together, 0..1."""
    worry: float = 0.0
    """Inner ends of the brows raised, 0..1."""
    cheek: float = 0.0
    """Cheeks raised, and the lower lids with them, 0..1."""
    yaw: float = 0.0
    """Head turned to the right, degrees, -14..14."""
    pitch: float = 0.0
    """Head turned down, degrees, -14..14."""
    roll: float = 0.0
    """Head tilted clockwise, degrees, -14..14."""
    breath: float = 0.0
    """Phase of the breath, 0 out .. 1 in."""
    moment_s: float = 0.0
    """Time of the performance, seconds, >= 0. An engine that plays footage plays on to this moment."""
    activity: Activity = "idle"
    """What the persona is doing at `moment_s`; an engine that plays footage chooses its clip by it."""


@dataclass(frozen=True, slots=True)
class Cues:
    """What happens in the conversation at one frame, as far as the behaviour answers to it."""

    user_speaking: bool = False
    """The participant has the floor."""
    user_level: float = 0.0
    """Loudness of the participant's voice, 0..1."""
    user_pause: bool = False
    """The participant has the floor and just paused; the start of a pause may be answered by a nod."""
    user_smile: float = 0.0
    """How much the participant smiles as perception sees it, 0..1; it is answered by a smile."""
    user_concern: float = 0.0
    """How much the participant's brows are drawn together, 0..1; it is answered by a concerned look."""
    user_nod: bool = False
    """The participant is nodding; the beginning of it may be answered by a nod."""
    phrase_end: bool = False
    """A phrase of the persona's own speech just ended (`MouthDriver.phrase_end_at`)."""
    emphasis: float = 0.0
    """Stress of the persona's own speech, 0..1 (`MouthDriver.emphasis_at`)."""
    emotion: str = "neutral"
    """A word such as "happy" or "concerned" (`expression.EMOTIONS`); an unknown word is neutral."""
    emotion_level: float = 0.0
    """Intensity of the emotion, 0..1."""


NO_CUES = Cues()


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """`replica` is the replica's folder; size in pixels, both even; `fps` frames per second.

    `background` is what stands behind the person: "room" (their own), "blur" (the room out of focus),
    "greenscreen", a colour as "#rrggbb", or the path of a picture.
    """

    replica: Path
    width: int = 1280
    height: int = 720
    fps: int = 25
    background: str = "room"


class FaceEngine(Protocol):
    """Draws a replica. Built by an engine's `build(settings)`; used from one thread at a time."""

    name: str
    """The engine's name, as in `replica.yaml`'s `renderer`."""
    width: int
    """Width of every frame, pixels."""
    height: int
    """Height of every frame, pixels."""

    def render(self, controls: Controls) -> Frame:
        """Draw one frame of `width` x `height`; the array belongs to the caller.

        Blocks until the frame is drawn. The same sequence of controls gives the same frames. Raises
        `EngineError` after `close`.
        """

    def close(self) -> None:
        """Free files and networks; a second call does nothing."""
