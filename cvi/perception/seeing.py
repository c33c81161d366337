"""Measures of a face over time -> what the participant does: where they look, smiles, nods, blinks, ...

Everything refers to this person's own neutral: the median of the first seconds, and later of the last two
minutes, in which people mostly look at the screen with a face at rest.

The constants were chosen on drawn participants with exact truth (`cvi bench perception`), two characters;
the figures stand in docs/measured.md for others.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from cvi.perception.face_measures import FaceMeasures
from cvi.perception.picture import PictureState
from cvi.perception.sight import NOTHING_SEEN, Lean, Look, Sight

CALIBRATION_S = 3.0
_LONGEST_LOOK_BACK_S = 120.0
_SAMPLE_EVERY_S = 0.25
_RECALIBRATE_S = 2.0
FORGET_AFTER_S = 10.0
"""Nobody seen for so long: whoever comes may be somebody else, and is calibrated anew."""

YAW_PER_IRIS, PITCH_PER_IRIS, PITCH_PER_LID = 150.0, 250.0, 40.0
"""Degrees of gaze for an eye's width of the iris's way, and for lids that are lowered all the way."""
AWAY_DEG, DOWN_DEG, UP_DEG = 11.0, 13.0, 13.0
"""Beyond these the eyes are not on the screen; a laptop's screen at arm's length spans about 10 each way."""
LOOK_BELIEVED_S = 0.12

SHUT, OPEN = 0.55, 0.7
"""Shares of the eyes' usual height: a blink begins under the one and ends above the other."""
LONGEST_BLINK_S = 0.6
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
_NEUTRAL = (
    "brows", "yaw", "pitch", "roll", "width", "eyes", "iris_x", "iris_y", "mouth_width", "corners",
)  # fmt: skip

Numbers = npt.NDArray[np.float64]


class Seeing:
    """From each picture's measures to a `Sight`. Not thread-safe; frames in order of time."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Numbers]] = deque()
        self._neutral: dict[str, float] = {}
        self._since_s: float | None = None
        self._calculated_s = 0.0
        self._seen_s: float | None = None
        self._blink_s: float | None = None
        self._blinks: deque[float] = deque()
        self._blink_count = 0
        self._look: Look = "unknown"
        self._look_since_s = 0.0
        self._look_next: tuple[Look, float] = ("unknown", 0.0)
        self._places: deque[tuple[float, float, float]] = deque()
        self._mouths: deque[tuple[float, float]] = deque()
        self._nodded_s: float | None = None
        self._shook_s: float | None = None
        self._moved_s = 0.0
        self._shape: Numbers | None = None
        self.last = NOTHING_SEEN

    def see(
        self,
        face: FaceMeasures | None,
        people: int,
        t_s: float,
        picture: PictureState = "good",
        luma: float = 128.0,
        face_luma: float | None = None,
    ) -> Sight:
        """The sight at `t_s`, seconds. `luma` and `face_luma` are the brightness of picture and face."""
        if face is None or picture in ("none", "black", "covered", "frozen"):
            if self._seen_s is not None and t_s - self._seen_s > FORGET_AFTER_S:
                self._forget()
            self.last = Sight(
                t_s,
                picture,
                luma=luma,
                blinks=self._blink_count,
                nodded_s=self._nodded_s,
                shook_s=self._shook_s,
            )
            return self.last
        self._seen_s = t_s
        if self._since_s is None:
            self._since_s = self._moved_s = t_s
        self._sample(face, t_s)
        usual = self._neutral or {name: float(getattr(face, name)) for name in _NEUTRAL}
        yaw, pitch, roll = (getattr(face, name) - usual[name] for name in ("yaw", "pitch", "roll"))
        eyes = face.eyes / max(usual["eyes"], 1e-3)
        blinking = self._blink(eyes, t_s)
        lowered = min(max(1.0 - eyes, 0.0), 0.35)
        look_yaw = yaw + YAW_PER_IRIS * (face.iris_x - usual["iris_x"])
        look_pitch = pitch + PITCH_PER_IRIS * (face.iris_y - usual["iris_y"]) + PITCH_PER_LID * lowered
        opening = _share(face.opening / OPENING_FULL)
        smile = face.corners - usual["corners"] + _WIDTH_SHARE * (face.mouth_width - usual["mouth_width"])
        brows = (face.brows - usual["brows"] - _BROW_PER_LID * lowered) / BROW_FULL
        step = 1.0 if self.last.face is None else 1.0 - math.exp(-(t_s - self.last.t_s) / SMOOTHED_S)
        smile = self.last.smile + step * (
            _share(smile / SMILE_FULL) * (1 - _OPEN_SHARE * opening) - self.last.smile
        )
        raised = self.last.raised + step * (_share(brows) - self.last.raised)
        furrowed = self.last.furrowed + step * (_share(-brows) - self.last.furrowed)
        if self._blink_s is not None and t_s - self._blink_s > LONGEST_BLINK_S:
            # Eyes that stay shut, or look so far down that no iris is seen.
            self._follow_look(0.0, 2 * DOWN_DEG, t_s)
        elif blinking or eyes < OPEN:
            # Lids that fall hide the irises, and the mesh lets the brows fall with them.
            look_yaw, look_pitch = self.last.look_yaw, self.last.look_pitch
            raised, furrowed = self.last.raised, self.last.furrowed
        else:
            self._follow_look(look_yaw, look_pitch, t_s)
        self._follow_head(face, usual["width"], t_s)
        self._notice_movement(face, t_s)
        lean: Lean = ""
        if abs(share := face.width / max(usual["width"], 1e-3) - 1.0) > LEAN_SHARE:
            lean = "in" if share > 0 else "away"
        self.last = Sight(
            t_s=t_s,
            picture=picture,
            people=people,
            face=face,
            calibrated=bool(self._neutral),
            yaw=yaw,
            pitch=pitch,
            roll=roll,
            look=self._look,
            look_s=t_s - self._look_since_s,
            look_yaw=look_yaw,
            look_pitch=look_pitch,
            smile=smile,
            raised=raised,
            furrowed=furrowed,
            opening=opening,
            talking=self._talks(face.opening, t_s),
            eyes=eyes,
            blinking=blinking,
            blinks=self._blink_count,
            blinks_a_minute=self._blink_rate(t_s),
            nodded_s=self._nodded_s,
            shook_s=self._shook_s,
            lean=lean,
            luma=luma,
            backlit=face_luma is not None and face_luma < 0.5 * luma,
            still=t_s - self._moved_s > STILL_S,
        )
        return self.last

    # -- this person's neutral --------------------------------------------------------------------

    def _forget(self) -> None:
        self._samples.clear()
        self._neutral = {}
        self._since_s = self._seen_s = None
        self._look = "unknown"

    def _sample(self, face: FaceMeasures, t_s: float) -> None:
        assert self._since_s is not None
        samples = self._samples
        calibrating = t_s - self._since_s < CALIBRATION_S
        # Later only what is near neutral counts: long smiles and long looks aside are no new neutral.
        calm = self.last.look == "screen" and max(self.last.smile, self.last.raised, self.last.furrowed) < 0.5
        if calibrating or not samples or (calm and t_s - samples[-1][0] >= _SAMPLE_EVERY_S):
            samples.append((t_s, np.array([getattr(face, name) for name in _NEUTRAL], np.float64)))
        while t_s - samples[0][0] > _LONGEST_LOOK_BACK_S:
            samples.popleft()
        if not calibrating and (not self._neutral or t_s - self._calculated_s > _RECALIBRATE_S):
            self._calculated_s = t_s
            middle = np.median([values for _, values in samples], axis=0)
            self._neutral = dict(zip(_NEUTRAL, middle.tolist(), strict=True))

    # -- eyes -------------------------------------------------------------------------------------

    def _blink(self, eyes: float, t_s: float) -> bool:
        if self._blink_s is None:
            if eyes < SHUT:
                self._blink_s = t_s
        elif eyes > OPEN:
            if t_s - self._blink_s <= LONGEST_BLINK_S:
                self._blinks.append(self._blink_s)
                self._blink_count += 1
            self._blink_s = None
        return self._blink_s is not None

    def _blink_rate(self, t_s: float) -> float:
        while self._blinks and t_s - self._blinks[0] > 60.0:
            self._blinks.popleft()
        assert self._since_s is not None
        watched_s = min(60.0, t_s - self._since_s)
        return 60.0 * len(self._blinks) / watched_s if watched_s > 10.0 else 0.0

    def _follow_look(self, yaw: float, pitch: float, t_s: float) -> None:
        look: Look = "screen"
        if abs(yaw) > AWAY_DEG and abs(yaw) >= abs(pitch) - 4.0:
            look = "right" if yaw > 0 else "left"
        elif pitch > DOWN_DEG:
            look = "down"
        elif pitch < -UP_DEG:
            look = "up"
        if look == self._look:
            self._look_next = (look, t_s)
            return
        if self._look_next[0] != look:
            self._look_next = (look, t_s)
        if t_s - self._look_next[1] >= LOOK_BELIEVED_S or self._look == "unknown":
            self._look, self._look_since_s = look, self._look_next[1]

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


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
