"""How something is said: pitch, loudness, rate, pauses, filled pauses, and words for it.

The words are against this person's own baseline.

Syllables are counted as peaks of loudness in voiced sound (N. de Jong and T. Wempe, "Praat script to detect
syllable nuclei and measure speech rate automatically", 2009).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median

import numpy as np
import numpy.typing as npt

from cvi.audio.block import AudioBlock
from cvi.audio.level import FLOOR_DB
from cvi.perception.prosody import STEP_S, Prosody, VoiceStep
from cvi.perception.second_voice import UsualVoice

_KEPT_S = 90.0
PAUSE_S = 0.25
DIP_DB = 2.0
"""The loudness must fall by so much between two syllables (de Jong and Wempe)."""
_SONOROUS = slice(2, 8)
"""The bands from 500 to 5000 Hz, in which vowels stand out from nasals and voiced stops: the mean error of
the rate is 6 % on flite's voice and 3 % on espeak's; 22 % and 3 % with the whole band."""
_BELOW_LOUDEST_DB, _SHARE_OF_CONTRAST = 22.0, 0.4
"""Speech lies above both: so much below its loudest, and this share of the way from the noise to that."""
FILLER_S = 0.26
_FILLER_SEMITONES, _FILLER_LEVEL_DB, _FILLER_BAND_DB = 0.8, 3.0, 3.4
"""The most that pitch, level and spectrum vary (standard deviations) in a held "uh" or "um"."""
BREATH_S = 0.45
LAUGH_BURSTS = 5
NOISY_DB = -42.0
TYPICAL_RATE, TYPICAL_RANGE = 4.3, 7.0
"""Syllables a second and semitones of conversational English, for a person's first turn."""
LEAST_VOICED_S = 0.6
"""Less voice than this says nothing about a manner."""

Series = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class VoiceSummary:
    """A stretch of speech in numbers.

    `voiced_s` seconds of voiced sound, `pitch_hz` its median, `pitch_range` from the 10th to the 90th
    percentile and `pitch_end` the rise over the last half second, semitones; `level_db` of the voiced parts,
    `syllables_per_s` without pauses; `pauses` of `PAUSE_S` and longer, `pause_s` all of them together;
    `fillers`: filled pauses; `laughs`, `sighs`; `tremor`: regular wavering of the pitch, semitones;
    `noise_db` the level of the quietest parts; `second_voice`: somebody else speaks in it too.
    """

    voiced_s: float = 0.0
    pitch_hz: float = 0.0
    pitch_range: float = 0.0
    pitch_end: float = 0.0
    level_db: float = FLOOR_DB
    syllables: int = 0
    syllables_per_s: float = 0.0
    pauses: int = 0
    pause_s: float = 0.0
    fillers: int = 0
    laughs: bool = False
    sighs: bool = False
    tremor: float = 0.0
    noise_db: float = FLOOR_DB
    second_voice: bool = False


@dataclass(slots=True)
class VoiceBaseline:
    """This person's usual voice: medians of the turns so far; typical values before the first."""

    turns: deque[VoiceSummary] = field(default_factory=lambda: deque(maxlen=12))

    def learn(self, voice: VoiceSummary) -> None:
        """Take a turn into account."""
        if voice.voiced_s >= LEAST_VOICED_S:
            self.turns.append(voice)

    def usual(self, name: str, before: float) -> float:
        """The median of a figure, `before` there are two turns."""
        return median(getattr(turn, name) for turn in self.turns) if len(self.turns) >= 2 else before

    def manner(self, voice: VoiceSummary) -> list[str]:
        """What this stretch sounds like beside the usual: "hesitant", "confident", "rushed", "flat",
        "slow", "loud", "quiet", "laughing", "sighing"; none is the rule."""
        words = [name for name, there in (("laughing", voice.laughs), ("sighing", voice.sighs)) if there]
        if voice.voiced_s < LEAST_VOICED_S:
            return words
        rate = voice.syllables_per_s / max(self.usual("syllables_per_s", TYPICAL_RATE), 0.1)
        span = voice.pitch_range / max(self.usual("pitch_range", TYPICAL_RANGE), 0.1)
        louder_db = voice.level_db - self.usual("level_db", voice.level_db)
        stops = (voice.pauses + voice.fillers) / max(voice.syllables, 1)
        hesitant = voice.fillers >= 2 or (stops > 0.12 and voice.pauses + voice.fillers >= 2)
        if hesitant:
            words.append("hesitant")
        elif rate > 1.25:
            words.append("rushed")
        if rate < 0.75 and voice.noise_db < NOISY_DB:  # noise between words is taken for words drawn out
            words.append("slow")
        if span < 0.55:
            words.append("flat")
        if louder_db > 5.0:
            words.append("loud")
        elif louder_db < -5.0:
            words.append("quiet")
        if not hesitant and not words and louder_db > 1.5 and voice.pitch_end < -1.0 and voice.pauses == 0:
            words.append("confident")
        return words


class Hearing:
    """Keeps the last minute and a half of one voice as steps; `between` sums up a stretch of it."""

    def __init__(self) -> None:
        self._prosody = Prosody()
        self.steps: deque[VoiceStep] = deque(maxlen=round(_KEPT_S / STEP_S))
        """The last minute and a half, in order of time."""
        self.baseline = VoiceBaseline()
        self._usual = UsualVoice()

    @property
    def heard_s(self) -> float:
        """The time up to which sound was analysed."""
        return self.steps[-1].end_s if self.steps else 0.0

    def hear(self, block: AudioBlock) -> None:
        """The next block; 0.1 ms for each 20 ms of voice."""
        self.steps.extend(self._prosody.push(block.pcm, block.end_s))

    def between(self, start_s: float, end_s: float) -> VoiceSummary:
        """The summary of the steps from `start_s` to `end_s`."""
        steps = self._steps(start_s, end_s)
        return replace(summarize(steps), second_voice=self._usual.hears_another(steps))

    def learn(self, start_s: float, end_s: float) -> None:
        """This was a turn of this person: their baseline is followed."""
        self.baseline.learn(self.between(start_s, end_s))
        self._usual.learn(self._steps(start_s, end_s))

    def _steps(self, start_s: float, end_s: float) -> list[VoiceStep]:
        return [step for step in self.steps if start_s < step.end_s <= end_s + STEP_S]


def summarize(steps: list[VoiceStep]) -> VoiceSummary:
    """Some consecutive steps in numbers."""
    if not steps:
        return VoiceSummary()
    level = np.array([step.level_db for step in steps])
    pitch = np.array([step.pitch_hz for step in steps])
    loudest_db, noise_db = float(np.percentile(level, 97)), float(np.percentile(level, 5))
    above_noise_db = noise_db + _SHARE_OF_CONTRAST * (loudest_db - noise_db)
    loud = level > max(loudest_db - _BELOW_LOUDEST_DB, above_noise_db, -58.0)
    voiced = (pitch > 0) & loud
    if voiced.sum() * STEP_S < 0.1:
        return VoiceSummary(noise_db=noise_db, sighs=_sighs(steps, level, pitch))
    height = 12 * np.log2(np.where(voiced, pitch, 1.0))
    sound = np.flatnonzero(loud)
    spoken = slice(int(sound[0]), int(sound[-1]) + 1)
    gaps = [length * STEP_S for length in _runs(~loud[spoken]) if length * STEP_S >= PAUSE_S]
    sonority = np.array([10 * np.log10(np.sum(10 ** (step.bands[_SONOROUS] / 10)) + 1e-9) for step in steps])
    syllables = _syllables(sonority[spoken], voiced[spoken])
    talk_s = (spoken.stop - spoken.start) * STEP_S - sum(gaps)
    heights = height[voiced]
    return VoiceSummary(
        voiced_s=float(voiced.sum()) * STEP_S,
        pitch_hz=float(np.median(pitch[voiced])),
        pitch_range=float(np.percentile(heights, 90) - np.percentile(heights, 10)),
        pitch_end=_end_slope(height, voiced),
        level_db=float(10 * np.log10(np.mean(10 ** (level[voiced] / 10)))),
        syllables=len(syllables),
        syllables_per_s=len(syllables) / max(talk_s, 0.2),
        pauses=len(gaps),
        pause_s=float(sum(gaps)),
        fillers=_fillers(steps, level, height, voiced),
        laughs=_laughs(syllables, voiced[spoken]),
        sighs=_sighs(steps, level, pitch),
        tremor=_tremor(height, voiced),
        noise_db=noise_db,
    )


def _syllables(level: Series, voiced: npt.NDArray[np.bool_]) -> list[int]:
    """Indices of loudness peaks, in voiced sound, parted by dips of `DIP_DB`."""
    smooth = np.convolve(np.pad(level, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    found: list[int] = []
    top, bottom, at, falling = float(smooth[0]), float(smooth[0]), 0, False
    for index, value in enumerate(smooth):
        if falling:
            bottom = min(bottom, value)
            if value - bottom >= DIP_DB:
                falling, top, at = False, value, index
        elif value > top:
            top, at = value, index
        elif top - value >= DIP_DB:
            if voiced[max(at - 1, 0) : at + 2].any():
                found.append(at)
            falling, bottom = True, value
    if not falling and voiced[max(at - 1, 0) : at + 2].any():
        found.append(at)
    return found


def _end_slope(height: Series, voiced: npt.NDArray[np.bool_]) -> float:
    at = np.flatnonzero(voiced)[-25:]
    if len(at) < 8:
        return 0.0
    half = len(at) // 2
    return float(np.median(height[at[half:]]) - np.median(height[at[:half]]))


def _fillers(steps: list[VoiceStep], level: Series, height: Series, voiced: npt.NDArray[np.bool_]) -> int:
    """Voiced stretches that are held: neither pitch nor loudness nor spectrum moves."""
    need = round(FILLER_S / STEP_S)
    count, at = 0, 0
    while at + need <= len(steps):
        window = slice(at, at + need)
        if (
            voiced[window].all()
            and float(np.std(height[window])) < _FILLER_SEMITONES
            and float(np.std(level[window])) < _FILLER_LEVEL_DB
            and float(np.std(np.stack([step.bands for step in steps[window]])[:, :7], axis=0).mean())
            < _FILLER_BAND_DB
        ):
            count += 1
            while at < len(steps) and voiced[at]:
                at += 1
        at += 1
    return count


def _laughs(syllables: list[int], voiced: npt.NDArray[np.bool_]) -> bool:
    """Short voiced bursts at an even rate of 3.5 to 7 a second, parted by breath (J.-A. Bachorowski et al.,
    "The acoustic features of human laughter", 2001)."""
    for first in range(len(syllables) - LAUGH_BURSTS):
        part = syllables[first : first + LAUGH_BURSTS + 1]
        gaps = np.diff(part) * STEP_S
        parted = all(not voiced[a:b].all() for a, b in pairwise(part))
        if parted and 0.14 < gaps.mean() < 0.29 and gaps.std() < 0.1 * gaps.mean():
            return True
    return False


def _sighs(steps: list[VoiceStep], level: Series, pitch: Series) -> bool:
    """Breath for `BREATH_S`: no voice, well above the noise, noise-like, dying away."""
    need = round(BREATH_S / STEP_S)
    noise_db = float(np.percentile(level, 5))
    breath = (pitch == 0) & (level > max(noise_db + 9.0, -55.0))
    start = 0
    for index, there in enumerate([*breath, False]):
        if there:
            continue
        if index - start >= need:
            part = level[start:index]
            flat = np.mean([float(np.ptp(step.bands)) for step in steps[start:index]])
            if part[: len(part) // 2].mean() - part[len(part) // 2 :].mean() > 2.0 and flat < 30.0:
                return True
        start = index + 1
    return False


def _tremor(height: Series, voiced: npt.NDArray[np.bool_]) -> float:
    """Wavering of held pitch at 4 to 9 Hz: the median over voiced runs of what a line does not explain."""
    left: list[float] = []
    at = 0
    for run in np.split(np.arange(len(voiced)), np.flatnonzero(np.diff(voiced.astype(int))) + 1):
        at += len(run)
        if len(run) >= 15 and voiced[run[0]]:
            values = height[run]
            line = np.polyval(np.polyfit(run, values, 2), run)
            left.append(float(np.std(values - line)))
    return float(np.median(left)) if len(left) >= 2 else 0.0


def _runs(flags: npt.NDArray[np.bool_]) -> list[int]:
    """Lengths of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [int(b - a) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def describe_voice(manner: Sequence[str], voice: VoiceSummary) -> str:
    """The manner as a sentence, "" for an ordinary one; "It is noisy where they are." where it is."""
    parts = []
    said = {"laughing": "They laugh.", "sighing": "They sigh."}
    parts += [said[word] for word in manner if word in said]
    rest = [word for word in manner if word not in said]
    if rest:
        parts.append(f"Their voice sounds {' and '.join(rest)}.")
    if voice.noise_db > NOISY_DB and math.isfinite(voice.noise_db):
        parts.append("It is noisy where they are.")
    if voice.second_voice:
        parts.append("A second voice is heard.")
    return " ".join(parts)
