"""How something was said: pitch, loudness, lengthening and pace at a pause, against this person's own.

Ends of turns are marked by more than silence: the pitch falls to the bottom of the person's range or rises
to a question, the voice grows weaker, the last syllable is drawn out and the pace slows; a pitch held level
in the middle of the range promises more (Gravano and Hirschberg, "Turn-taking cues in task-oriented
dialogue", 2011; Edlund and Heldner, "Exploring prosody in interaction control", 2005). Syllables are counted
at peaks of loudness (de Jong and Wempe, 2009).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.level import FLOOR_DB, level_db
from cvi.turns.pitch import FRAME_SAMPLES, pitch_hz, semitones

HOP_SAMPLES = 256
HOP_S = HOP_SAMPLES / HEARD_HZ
KEPT_S = 8.0
_END_S = 0.2
_CONTOUR_S = 0.35
_SYLLABLE_DIP_DB = 2.5
# What is steeper is mostly an error of the method.
_STEEPEST_ST_S = 30.0
_SPEECH_BELOW_PEAK_DB = 28.0
# Until so much of a voice has been heard, its own norms count for little against those of all voices.
_KNOWN_AFTER_S = 4.0
_USUAL_SYLLABLE_S = 0.2
_USUAL_SPREAD_ST = 3.0
_MEMORY_S = 60.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ProsodyFrame:
    """16 ms of sound: when it ended (seconds on the conversation's clock), its level and its pitch.

    `pitch_st` is in semitones above 55 Hz, None where nothing was voiced.
    """

    end_s: float
    level_db: float
    pitch_st: float | None


@dataclass(frozen=True, slots=True)
class PhraseProsody:
    """What a phrase sounded like up to a pause; 0 where it could not be told, which is also "as usual".

    `pitch_end` and `pitch_range`: the last voiced 0.2 s, and the highest of the last second, in this person's
    standard deviations above their median. `pitch_slope`: the last 0.35 s, semitones a second. `level_end`:
    the last 0.2 s against the phrase, dB. `lengthening`: the natural logarithm of the last syllable's length
    over this person's usual one. `pace`: the same for the mean of the last three. `phrase_s` is how long the
    phrase was.
    """

    pitch_end: float = 0.0
    pitch_slope: float = 0.0
    pitch_range: float = 0.0
    level_end: float = 0.0
    lengthening: float = 0.0
    pace: float = 0.0
    phrase_s: float = 0.0


class ProsodyTracker:
    """Follows one person's voice, 16 kHz int16 in pieces of any length. One caller."""

    def __init__(self) -> None:
        self._sound: Pcm = np.zeros(FRAME_SAMPLES, np.int16)
        self._new = 0
        self.frames: deque[ProsodyFrame] = deque(maxlen=round(KEPT_S / HOP_S))
        """The last 8 s, in order."""
        self._pitches: deque[float] = deque(maxlen=round(_MEMORY_S / 4 / HOP_S))
        self._syllables_s: deque[float] = deque(maxlen=240)
        self._levels_db: deque[float] = deque(maxlen=round(_MEMORY_S / 4 / HOP_S))

    def push(self, pcm: Pcm, end_s: float, *, voice: bool) -> None:
        """Take the next samples, the last of which ends at `end_s`; pitch is looked for where `voice`."""
        self._sound = np.concatenate([self._sound, pcm])
        self._new += len(pcm)
        while self._new >= HOP_SAMPLES:
            self._new -= HOP_SAMPLES
            last = len(self._sound) - self._new
            at_s = end_s - self._new / HEARD_HZ
            loud = level_db(self._sound[last - HOP_SAMPLES : last])
            hz = pitch_hz(self._sound[last - FRAME_SAMPLES : last]) if voice else 0.0
            pitch = semitones(hz) if hz else None
            self.frames.append(ProsodyFrame(at_s, loud, pitch))
            if pitch is not None:
                self._pitches.append(pitch)
                self._levels_db.append(loud)
        self._sound = self._sound[-(FRAME_SAMPLES + self._new) :]

    @property
    def usual_level_db(self) -> float | None:
        """How loud this person's voiced sounds are, the median; None before a second of them was heard."""
        return float(np.median(self._levels_db)) if len(self._levels_db) * HOP_S >= 1.0 else None

    def since(self, time_s: float) -> list[ProsodyFrame]:
        """The frames that began after `time_s`, as far as they are kept."""
        recent: list[ProsodyFrame] = []
        for frame in reversed(self.frames):
            if frame.end_s - HOP_S < time_s:
                break
            recent.append(frame)
        return recent[::-1]

    def phrase_end(self, from_s: float, until_s: float) -> PhraseProsody:
        """What the voice from `from_s` to `until_s`, the onset of a pause, sounded like towards its end.

        Also learns the person's usual syllables from it: ask once for each pause.
        """
        frames = [frame for frame in self.frames if from_s < frame.end_s <= until_s + HOP_S]
        if len(frames) < 8:
            return PhraseProsody()
        levels = np.array([frame.level_db for frame in frames])
        loudest = float(levels.max())
        speech = np.flatnonzero(levels > max(loudest - _SPEECH_BELOW_PEAK_DB, FLOOR_DB))
        frames, levels = frames[: int(speech[-1]) + 1], levels[: int(speech[-1]) + 1]
        slope, end, high = self._contour(frames)
        nuclei = syllable_nuclei(levels)
        lengths_s = [(b - a) * HOP_S for a, b in pairwise(nuclei)]
        last_s = 0.0
        if nuclei:
            last_s = (len(levels) - nuclei[-1]) * HOP_S + (lengths_s[-1] / 2 if lengths_s else 0.0)
        usual_s = self._usual_syllable_s(lengths_s)
        recent = lengths_s[-3:]
        self._syllables_s.extend(length for length in lengths_s if length < 0.6)
        width = round(_END_S / HOP_S)
        voiced = levels[levels > loudest - 20.0]
        return PhraseProsody(
            pitch_end=end,
            pitch_slope=slope,
            pitch_range=high,
            level_end=float(levels[-width:].mean() - voiced.mean()),
            lengthening=math.log(min(max(last_s, 0.05), 1.0) / usual_s) if nuclei else 0.0,
            pace=math.log(min(max(float(np.mean(recent)), 0.05), 0.8) / usual_s) if recent else 0.0,
            phrase_s=len(levels) * HOP_S,
        )

    def _contour(self, frames: list[ProsodyFrame]) -> tuple[float, float, float]:
        """The pitch's slope at the end, where it ends, and how high it went in the last second."""
        pitched = [(frame.end_s, frame.pitch_st) for frame in frames if frame.pitch_st is not None]
        if len(pitched) < 5:
            return 0.0, 0.0, 0.0
        median, spread = self._norms()
        times, pitches = np.array(pitched).T
        # A frame an octave off its neighbours is an error of the method or creak, not melody.
        kept = np.abs(pitches - _running_median(pitches)) < 4.0
        times, pitches = times[kept], pitches[kept]
        if len(times) < 5:
            return 0.0, 0.0, 0.0
        last = times > times[-1] - _CONTOUR_S
        slope = 0.0
        if last.sum() >= 5 and np.ptp(times[last]) > 0.08:
            slope = float(np.polyfit(times[last], pitches[last], 1)[0])
        end = float(np.median(pitches[times > times[-1] - _END_S]))
        high = float(np.percentile(pitches[times > times[-1] - 1.0], 90))
        return (
            max(min(slope, _STEEPEST_ST_S), -_STEEPEST_ST_S),
            (end - median) / spread,
            (high - median) / spread,
        )

    def _norms(self) -> tuple[float, float]:
        """This person's median pitch and its spread, semitones."""
        heard = np.array(self._pitches)
        trust = min(len(heard) * HOP_S / _KNOWN_AFTER_S, 1.0)
        low, high = np.percentile(heard, [16, 84])
        own = max((high - low) / 2, 1.0)
        return float(np.median(heard)), trust * float(own) + (1 - trust) * _USUAL_SPREAD_ST

    def _usual_syllable_s(self, now_s: list[float]) -> float:
        known = [*self._syllables_s, *now_s]
        trust = min(len(known) / 20.0, 1.0)
        own = float(np.median(known)) if known else _USUAL_SYLLABLE_S
        return trust * own + (1 - trust) * _USUAL_SYLLABLE_S


def syllable_nuclei(levels: Floats) -> list[int]:
    """Where syllables are loudest: peaks that stand 2.5 dB above the dips on both sides."""
    if len(levels) < 3:
        return []
    smooth = np.convolve(np.pad(levels, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    least = float(smooth.max()) - 25.0
    nuclei: list[int] = []
    dip = peak = float(smooth[0])
    peak_at = 0
    rising = True
    for index, level in enumerate(smooth):
        if rising:
            if level > peak:
                peak, peak_at = float(level), index
            elif peak - level >= _SYLLABLE_DIP_DB:
                if peak > least and (not nuclei or peak - dip >= _SYLLABLE_DIP_DB):
                    nuclei.append(peak_at)
                rising, dip = False, float(level)
        elif level < dip:
            dip = float(level)
        elif level - dip >= _SYLLABLE_DIP_DB:
            rising, peak, peak_at = True, float(level), index
    if rising and peak > least and (not nuclei or peak_at - nuclei[-1] > 4):
        nuclei.append(peak_at)
    return nuclei


def _running_median(values: Floats, width: int = 9) -> Floats:
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))
