"""How something was said: pitch and loudness at a pause, against this person's own.

Ends of turns are marked by more than silence: the pitch falls to the bottom of the person's range or rises
to a question, and the voice grows weaker and fades; a pitch held level in the middle of the range promises
more (Gravano and Hirschberg, "Turn-taking cues in task-oriented dialogue", 2011; Edlund and Heldner,
"Exploring prosody in interaction control", 2005). Syllables are counted at peaks of loudness (de Jong and
Wempe, 2009).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.audio.level import FLOOR_DB, level_db
from cvi.turns.pitch import FRAME_SAMPLES, pitch_hz, semitones

HOP_SAMPLES = 256
HOP_S = HOP_SAMPLES / HEARD_HZ
KEPT_S = 8.0
_END_S = 0.2
_CONTOUR_S = 0.2
_END_PITCH_S = 0.15
_SYLLABLE_DIP_DB = 2.5
# What is steeper is mostly an error of the method.
_STEEPEST_ST_S = 30.0
_SPEECH_BELOW_PEAK_DB = 28.0
_VOICED_BELOW_PEAK_DB = 20.0
_FADED_DB = 10.0
_LEAST_RANGE_ST = 2.0
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
    """What a phrase sounded like up to a pause; None where it could not be told.

    `pitch_slope`: the last 0.2 s of voiced sound, semitones a second. `pitch_end`: where the pitch ends in
    this person's range, 0 its bottom (10th percentile) and 1 its top (90th). `level_end`: the last 0.2 s
    against the phrase, dB, each by its louder part. `fading_s`: how long before the pause the voice was last
    within 10 dB of its loudest. `phrase_s` is how long the phrase was.
    """

    pitch_slope: float | None = None
    pitch_end: float | None = None
    level_end: float | None = None
    fading_s: float | None = None
    phrase_s: float = 0.0


class ProsodyTracker:
    """Follows one person's voice, 16 kHz int16 in pieces of any length. One caller."""

    def __init__(self) -> None:
        self._sound: Pcm = np.zeros(FRAME_SAMPLES, np.int16)
        self._new = 0
        self.frames: deque[ProsodyFrame] = deque(maxlen=round(KEPT_S / HOP_S))
        """The last 8 s, in order."""
        self._pitches: deque[float] = deque(maxlen=round(_MEMORY_S / 4 / HOP_S))
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
        """What the voice from `from_s` to `until_s`, the onset of a pause, sounded like towards its end."""
        frames = [frame for frame in self.frames if from_s < frame.end_s <= until_s + HOP_S]
        if len(frames) < 8:
            return PhraseProsody()
        levels = np.array([frame.level_db for frame in frames])
        loudest = float(levels.max())
        speech = np.flatnonzero(levels > max(loudest - _SPEECH_BELOW_PEAK_DB, FLOOR_DB))
        frames, levels = frames[: int(speech[-1]) + 1], levels[: int(speech[-1]) + 1]
        slope, end = self._contour(frames)
        last = levels[-round(_END_S / HOP_S) :]
        voiced = levels[levels > loudest - _VOICED_BELOW_PEAK_DB]
        loud = np.flatnonzero(levels > loudest - _FADED_DB)
        return PhraseProsody(
            pitch_slope=slope,
            pitch_end=end,
            level_end=float(np.percentile(last, 80) - np.percentile(voiced, 80)),
            fading_s=(len(levels) - 1 - int(loud[-1])) * HOP_S,
            phrase_s=len(levels) * HOP_S,
        )

    def _contour(self, frames: list[ProsodyFrame]) -> tuple[float | None, float | None]:
        """The pitch's slope at the end, and where in this person's range it ends."""
        pitched = [(frame.end_s, frame.pitch_st) for frame in frames if frame.pitch_st is not None]
        if len(pitched) < 5:
            return None, None
        times, pitches = np.array(pitched).T
        # A frame an octave off its neighbours is an error of the method or creak, not melody.
        kept = np.abs(pitches - _running_median(pitches)) < 4.0
        times, pitches = times[kept], pitches[kept]
        if len(times) < 5:
            return None, None
        last = times > times[-1] - _CONTOUR_S
        slope = _slope(times[last], pitches[last]) if last.sum() >= 5 else None
        low, high = np.percentile(np.array(self._pitches), [10, 90])
        end = float(np.median(pitches[times > times[-1] - _END_PITCH_S]))
        return slope, (end - float(low)) / max(float(high - low), _LEAST_RANGE_ST)


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


def _slope(times: Floats, values: Floats) -> float:
    """The median slope of all pairs of points (Theil and Sen), which an octave error does not move."""
    first, second = np.triu_indices(len(times), 1)
    slopes = (values[second] - values[first]) / (times[second] - times[first])
    return min(max(float(np.median(slopes)), -_STEEPEST_ST_S), _STEEPEST_ST_S)


def _running_median(values: Floats, width: int = 9) -> Floats:
    padded = np.pad(values, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))
