"""What is seen of the participant at one moment: numbers made by `seeing`, put into words by `wording`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cvi.perception.face_measures import FaceMeasures
from cvi.perception.hands import Place
from cvi.perception.picture import PictureState

Look = Literal["screen", "left", "right", "up", "down", "unknown"]
Lean = Literal["in", "away", ""]
FAINT_SMILE = 0.25


@dataclass(frozen=True, slots=True)
class Sight:
    """One moment of the picture; the fields after `people` are what was seen last while a face was there.

    `t_s` seconds. `people` counts faces, up to the two that the tracker finds. `calibrated`: this person's
    own neutral face is known, to which the rest refers. `yaw` to the viewer's right, `pitch` down, `roll`
    clockwise, degrees, against where this person faces the screen. `look` is where the eyes go, head and
    eyes together, for `look_s` seconds now; they last came back to the screen at `returned_s`. `smile`,
    `raised` and `furrowed` brows and `opening` of the mouth 0..1; `talking`: the lips move as in speech;
    they last parted at `parted_s`. `blinking` now; `blinks` since the beginning; `nodded_s` and `shook_s`
    when the head last nodded or was shaken. `lean` against the usual distance. `hand` is where on the face a
    hand is, "" for none: mouth or brows that it covers are taken for at rest. `luma` the brightness of the
    picture, `backlit` the face much darker than it. `still`: nothing in the face has moved for a long while,
    as in a photograph.
    """

    t_s: float
    picture: PictureState
    people: int = 0
    face: FaceMeasures | None = None
    calibrated: bool = False
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    look: Look = "unknown"
    look_s: float = 0.0
    returned_s: float | None = None
    look_yaw: float = 0.0
    look_pitch: float = 0.0
    smile: float = 0.0
    raised: float = 0.0
    furrowed: float = 0.0
    opening: float = 0.0
    talking: bool = False
    parted_s: float | None = None
    eyes: float = 1.0
    blinking: bool = False
    blinks: int = 0
    blinks_a_minute: float = 0.0
    nodded_s: float | None = None
    shook_s: float | None = None
    lean: Lean = ""
    hand: Place = ""
    luma: float = 128.0
    backlit: bool = False
    still: bool = False

    @property
    def present(self) -> bool:
        """Somebody is seen."""
        return self.people > 0

    @property
    def answered_smile(self) -> float:
        """How much of a smile the persona's face answers, 0..1: not the little of it that talking shows."""
        return max(0.0, (self.smile - FAINT_SMILE) / (1.0 - FAINT_SMILE))

    @property
    def valence(self) -> float:
        """Pleasant or not as the face looks, -1..1."""
        return max(-1.0, min(1.0, self.smile - 0.7 * self.furrowed))

    @property
    def arousal(self) -> float:
        """Lively or not as the face looks, 0..1."""
        return min(1.0, 0.5 * self.raised + 0.4 * self.smile + 0.3 * self.opening + 0.3 * self.furrowed)


NOTHING_SEEN = Sight(0.0, "none")
