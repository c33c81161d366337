"""Measures of a face over time -> what the participant does: where they look, smiles, nods, blinks, ...

The constants were chosen on drawn participants with exact truth (`cvi bench perception`), two characters;
the figures stand in docs/measured.md for others.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cvi.perception.eyes import DOWN_DEG, LONGEST_BLINK_S, OPEN, Blinks, Gaze
from cvi.perception.face_measures import FaceMeasures
from cvi.perception.hands import Place
from cvi.perception.neutral import NeutralFace
from cvi.perception.picture import PictureState
from cvi.perception.sight import NOTHING_SEEN, Lean, Sight

FORGET_AFTER_S = 10.0
"""Nobody seen for so long: whoever comes may be somebody else, and is calibrated anew."""

YAW_PER_IRIS, PITCH_PER_IRIS, PITCH_PER_LID = 150.0, 250.0, 40.0
"""Degrees of gaze for an eye's width of the iris's way, and for lids that are lowered all the way."""
SMILE_FULL, BROW_FULL = 0.04, 0.028
"""Widths of the face that the mouth's corners or the brows move in a full smile, a full raise or furrow."""
_WIDTH_SHARE, _BROW_PER_LID = 0.6, 0.1
OPENING_FULL = 0.12
_OPEN_SHARE = 0.4
"""A mouth wide open in speech lifts its corners: a smile counts so much less with it."""
NOD_WINDOW_S = 1.5
NOD_SWING = 0.028
"""Widths of the face that the bridge of the nose moves from turn to turn, at least, in a nod or a shake. The
angles would do worse: the mesh tips a little with each blink."""
_SWINGS = 3
_ONE_WAY = 1.6
"""A nod goes so much farther down than aside, a shake the other way; in talking a head does neither."""
SMOOTHED_S = 0.12
"""Time constant of smile and brows: longer than the mesh's jitter, short enough to be answered."""
LEAN_SHARE = 0.15
STILL_S = 20.0
COVERS_MOUTH, COVERS_BROWS = ("nose", "mouth", "chin", "cheek"), ("forehead", "eyes")
"""Places of a hand at which the mesh guesses the mouth or the brows."""
PARTED, CLOSED = 0.3, 0.12
"""Openings of the mouth, 0..1: lips part from the one to the other."""


class Seeing:
    """From each picture's measures to a `Sight`. Not thread-safe; frames in order of time."""

    def __init__(self) -> None:
        self._neutral = NeutralFace()
        self._seen_s: float | None = None
        self._blinks = Blinks()
        self._gaze = Gaze()
        self._places: deque[tuple[float, float, float]] = deque()
        self._mouths: deque[tuple[float, float]] = deque()
        self._closed = True
        self._parted_s: float | None = None
        self._nodded_s: float | None = None
        self._shook_s: float | None = None
        self._moved_s = 0.0
        self._shape: npt.NDArray[np.float64] | None = None
        self.last = NOTHING_SEEN

    def see(
        self,
        face: FaceMeasures | None,
        people: int,
        t_s: float,
        picture: PictureState = "good",
        luma: float = 128.0,
        face_luma: float | None = None,
        hand: Place = "",
    ) -> Sight:
        """The sight at `t_s`, seconds. `luma` and `face_luma` are the brightness of picture and face, `hand`
        where on it a hand is."""
        if face is None or picture in ("none", "black", "covered", "frozen"):
            return self._nobody(t_s, picture, luma)
        self._seen_s = t_s
        last = self.last
        calm = last.look == "screen" and max(last.smile, last.raised, last.furrowed) < 0.5 and not hand
        if self._neutral.since_s is None:
            self._moved_s = t_s
        self._neutral.learn(face, t_s, calm)
        usual = self._neutral.usual(face)
        self._follow_head(face, usual["width"], t_s)
        self._notice_movement(face, t_s)
        opening = 0.0 if hand in COVERS_MOUTH else _share(face.opening / OPENING_FULL)
        self._follow_lips(opening, t_s)
        backlit = face_luma is not None and face_luma < 0.5 * luma
        still = t_s - self._moved_s > STILL_S
        sight = replace(
            self._expressed(face, usual, opening, t_s, hand),
            picture=picture,
            people=people,
            talking=self._talks(face.opening, t_s) and hand not in COVERS_MOUTH,
            parted_s=self._parted_s,
            nodded_s=self._nodded_s,
            shook_s=self._shook_s,
            lean=_lean(face.width, usual["width"]),
            hand=hand,
            luma=luma,
            backlit=backlit,
            still=still,
        )
        self.last = sight
        return sight

    def _nobody(self, t_s: float, picture: PictureState, luma: float) -> Sight:
        if self._seen_s is not None and t_s - self._seen_s > FORGET_AFTER_S:
            self._neutral.forget()
            self._gaze.forget()
            self._seen_s = None
        gestures = (self._nodded_s, self._shook_s)
        self.last = Sight(
            t_s, picture, luma=luma, blinks=self._blinks.count, nodded_s=gestures[0], shook_s=gestures[1]
        )
        return self.last

    def _expressed(
        self, face: FaceMeasures, usual: dict[str, float], opening: float, t_s: float, hand: Place
    ) -> Sight:
        """Pose, gaze and expression of a face beside its neutral."""
        yaw, pitch, roll = (getattr(face, name) - usual[name] for name in ("yaw", "pitch", "roll"))
        eyes = face.eyes / max(usual["eyes"], 1e-3)
        blinking = self._blinks.follow(eyes, t_s)
        lowered = min(max(1.0 - eyes, 0.0), 0.35)
        look_yaw = yaw + YAW_PER_IRIS * (face.iris_x - usual["iris_x"])
        look_pitch = pitch + PITCH_PER_IRIS * (face.iris_y - usual["iris_y"]) + PITCH_PER_LID * lowered
        smile = face.corners - usual["corners"] + _WIDTH_SHARE * (face.mouth_width - usual["mouth_width"])
        brows = (face.brows - usual["brows"] - _BROW_PER_LID * lowered) / BROW_FULL
        smile = 0.0 if hand in COVERS_MOUTH else smile
        brows = 0.0 if hand in COVERS_BROWS else brows
        last = self.last
        step = 1.0 if last.face is None else 1.0 - math.exp(-(t_s - last.t_s) / SMOOTHED_S)
        smile = last.smile + step * (_share(smile / SMILE_FULL) * (1 - _OPEN_SHARE * opening) - last.smile)
        raised = last.raised + step * (_share(brows) - last.raised)
        furrowed = last.furrowed + step * (_share(-brows) - last.furrowed)
        shut_s = self._blinks.shut_s
        if shut_s is not None and t_s - shut_s > LONGEST_BLINK_S:
            # Eyes that stay shut, or look so far down that no iris is seen.
            self._gaze.follow(0.0, 2 * DOWN_DEG, t_s)
        elif blinking or eyes < OPEN:
            # Lids that fall hide the irises, and the mesh lets the brows fall with them.
            look_yaw, look_pitch = last.look_yaw, last.look_pitch
            raised, furrowed = last.raised, last.furrowed
        else:
            self._gaze.follow(look_yaw, look_pitch, t_s)
        assert self._neutral.since_s is not None
        return Sight(
            t_s=t_s, picture="good", face=face, calibrated=self._neutral.known,
            yaw=yaw, pitch=pitch, roll=roll,
            look=self._gaze.look, look_s=t_s - self._gaze.since_s, returned_s=self._gaze.returned_s,
            look_yaw=look_yaw, look_pitch=look_pitch,
            smile=smile, raised=raised, furrowed=furrowed, opening=opening,
            eyes=eyes, blinking=blinking, blinks=self._blinks.count,
            blinks_a_minute=self._blinks.a_minute(t_s, self._neutral.since_s),
        )  # fmt: skip

    # -- head and mouth ---------------------------------------------------------------------------

    def _follow_head(self, face: FaceMeasures, width: float, t_s: float) -> None:
        places = self._places
        places.append((t_s, face.bridge_x / width, face.bridge_y / width))
        while t_s - places[0][0] > NOD_WINDOW_S:
            places.popleft()
        across, down = [place[1] for place in places], [place[2] for place in places]
        height, breadth = max(down) - min(down), max(across) - min(across)
        if height > _ONE_WAY * breadth and _swings(down, NOD_SWING) >= _SWINGS:
            self._nodded_s = t_s
        elif breadth > _ONE_WAY * height and _swings(across, NOD_SWING) >= _SWINGS:
            self._shook_s = t_s

    def _follow_lips(self, opening: float, t_s: float) -> None:
        if self._closed and opening > PARTED:
            self._closed, self._parted_s = False, t_s
        elif opening < CLOSED:
            self._closed = True

    def _talks(self, opening: float, t_s: float) -> bool:
        mouths = self._mouths
        mouths.append((t_s, opening))
        while t_s - mouths[0][0] > 1.0:
            mouths.popleft()
        return float(np.std([value for _, value in mouths])) > 0.008

    def _notice_movement(self, face: FaceMeasures, t_s: float) -> None:
        # Eyes and mouth alone: a photograph is held by a hand that moves.
        shape = np.array([face.eyes, face.opening, face.iris_x, face.corners])
        if self._shape is None or float(np.abs(shape - self._shape).max()) > 0.08:
            self._shape, self._moved_s = shape, t_s


def _swings(values: list[float], least: float) -> int:
    """How often a curve goes up or down by at least `least` between turns (rainflow's turning points)."""
    count, low, high, rising = 0, values[0], values[0], None
    for value in values[1:]:
        low, high = min(low, value), max(high, value)
        if rising is not True and value - low >= least:
            count, rising, high = count + 1, True, value
        elif rising is not False and high - value >= least:
            count, rising, low = count + 1, False, value
    return count


def _lean(width: float, usual_width: float) -> Lean:
    share = width / max(usual_width, 1e-3) - 1.0
    if abs(share) <= LEAN_SHARE:
        return ""
    return "in" if share > 0 else "away"


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
