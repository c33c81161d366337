"""When the participant speaks while the persona does: carry on, duck, or yield.

Words decide where there are any: a command to stop yields at once, signs of listening do not. Recognizers
need some tenths of a second for a word, so the sound decides first, and needs no language: somebody who
takes the floor articulates, syllable after syllable, and grows no weaker; a "mhm", a cough or a slammed
door is one burst, which is over or fading when it is half a second old (Gravano and Hirschberg,
"Backchannel-inviting cues", 2009: backchannels are short and steady in pitch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cvi.turns.prosody import HOP_S, ProsodyFrame, syllable_nuclei
from cvi.turns.thresholds import TurnThresholds
from cvi.turns.words import FloorWords, spoken_syllables

Verdict = Literal["carry_on", "duck", "yield"]
"""What the reply does: goes on, goes on more quietly, or ends."""

_LOUD_DB = 12.0
_PITCHED_DB = 15.0
_OCTAVE_ST = 12.0


@dataclass(frozen=True, slots=True)
class OverlapVoice:
    """What a voice over a reply has sounded like so far.

    `voice_s` since it began, `loud_s` how much of it was within 12 dB of its loudest, `syllables` the peaks
    of loudness, `fallen_db` how far it is below its loudest now, `moved_st` how far its pitch has moved
    (semitones, 10th to 90th percentile).
    """

    voice_s: float
    loud_s: float = 0.0
    syllables: int = 0
    fallen_db: float = 0.0
    moved_st: float = 0.0


def overlap_voice(frames: Sequence[ProsodyFrame], started_s: float) -> OverlapVoice:
    """The voice that began at `started_s`, from the frames since then, the last of which is now."""
    if not frames:
        return OverlapVoice(0.0)
    levels = np.array([frame.level_db for frame in frames])
    loudest = float(levels.max())
    pitches = np.array(
        [f.pitch_st for f in frames if f.pitch_st is not None and f.level_db > loudest - _PITCHED_DB]
    )
    moved = 0.0
    if len(pitches) > 2:
        # An octave off the others is an error of the method.
        middle = np.median(pitches)
        folded = middle + (pitches - middle + _OCTAVE_ST / 2) % _OCTAVE_ST - _OCTAVE_ST / 2
        moved = float(np.percentile(folded, 90) - np.percentile(folded, 10))
    return OverlapVoice(
        voice_s=frames[-1].end_s - started_s,
        loud_s=float((levels > loudest - _LOUD_DB).sum()) * HOP_S,
        syllables=len(syllable_nuclei(levels)),
        fallen_db=loudest - float(levels[-2:].max()),
        moved_st=moved,
    )


def judge(voice: OverlapVoice, text: str, words: FloorWords, thresholds: TurnThresholds) -> Verdict:
    """What a reply does while the participant speaks over it; `text` is the words so far, perhaps "".

    >>> from cvi.turns.words import floor_words
    >>> judge(OverlapVoice(0.2), "stop", floor_words("en"), TurnThresholds())
    'yield'
    """
    if words.asks_to_stop(text):
        return "yield"
    if _takes_the_floor(voice, text, words, thresholds):
        return "yield"
    return "duck" if voice.voice_s >= thresholds.duck_after_s else "carry_on"


def _takes_the_floor(voice: OverlapVoice, text: str, words: FloorWords, thresholds: TurnThresholds) -> bool:
    moves = voice.moved_st >= thresholds.articulated_st
    if words.is_listening(text):
        # The first words lag: somebody who has gone on since, and not in a hum, has more to say.
        goes_on = (
            moves and voice.syllables > spoken_syllables(text) and voice.fallen_db <= thresholds.fading_db
        )
        return voice.loud_s >= thresholds.listening_until_s or (
            goes_on and voice.voice_s >= thresholds.yield_after_s
        )
    if voice.fallen_db > thresholds.fading_db:
        return False
    articulated = voice.syllables >= 3 or (voice.syllables == 2 and moves)
    if articulated and voice.voice_s >= thresholds.yield_after_s:
        return True
    # Words other than a listener's were recognized; else a long sound of any kind.
    said_more = words.count(text) >= 2 and voice.loud_s >= thresholds.yield_after_s
    return said_more or voice.loud_s >= thresholds.decide_by_s


def judge_ended(voice_s: float, text: str, words: FloorWords, thresholds: TurnThresholds) -> Verdict:
    """What a reply does when the voice over it has ended by itself: "yield" if it was an interruption.

    That is a command to stop, or at least two words that are more than signs of listening.
    """
    if words.asks_to_stop(text):
        return "yield"
    interrupts = words.count(text) >= 2 and not words.is_listening(text)
    return "yield" if interrupts and voice_s >= thresholds.duck_after_s else "carry_on"
