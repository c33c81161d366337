"""The participant's sound: microphone blocks -> voice changes, loudness and the true end of speech."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, AudioBlock, Pcm
from cvi.audio.level import SpeechEdges, level_db
from cvi.turns.barge_in import OverlapVoice, overlap_voice
from cvi.turns.base import VAD_HOP_S, VAD_HOP_SAMPLES, VadEngine
from cvi.turns.prosody import PhraseProsody, ProsodyTracker
from cvi.turns.thresholds import TurnThresholds
from cvi.turns.voice_state import VoiceChange, VoiceState

PREROLL_S = 0.5
FAINT_DB, FAINT_AFTER_S = 18.0, 4.0
"""A voice so far below the participant's usual level is not theirs, until so much of it was heard."""
# How far the waveform's edge may lie from the detector's (tests/audio/test_level.py, noisy recordings).
EDGE_BEFORE_S = 0.4
EDGE_AFTER_S = 0.1


@dataclass(frozen=True, slots=True)
class AudioHop:
    """What 32 ms of sound tell; times are seconds on the conversation's clock.

    `change` is the onset or pause that this hop proves, if any; `speaking` is the state after it. `level`
    is the loudness from 0 (-50 dB and below) to 1 (-10 dB and above). `voiced_until_s` is the end of the
    last hop with voice.
    """

    end_s: float
    change: VoiceChange | None
    speaking: bool
    level: float
    voiced_until_s: float


class AudioInput:
    """Detects voice in blocks of 16 kHz int16. Event loop only."""

    def __init__(self, vad: VadEngine, thresholds: TurnThresholds, *, near: bool = False) -> None:
        """With `near`, voices far fainter than the participant's own are not believed: a television, people
        behind them. One that stays alone is believed after FAINT_AFTER_S: they have moved away."""
        self._vad = vad
        self._near = near
        self._faint_s = 0.0
        self._voice = VoiceState(thresholds)
        self._edges = SpeechEdges()
        self._prosody = ProsodyTracker()
        self._preroll: deque[AudioBlock] = deque(maxlen=round(PREROLL_S / HOP_S))
        self._pending = np.zeros(0, np.int16)

    def push(self, block: AudioBlock) -> Iterator[AudioHop]:
        """Take the next block; yields the hops that it completes. Exhaust it before the next `push`."""
        self._edges.feed(block)
        self._preroll.append(block)
        self._pending = np.concatenate([self._pending, block.pcm])
        while len(self._pending) >= VAD_HOP_SAMPLES:
            pcm, self._pending = self._pending[:VAD_HOP_SAMPLES], self._pending[VAD_HOP_SAMPLES:]
            yield self._hop(pcm, block.end_s - len(self._pending) / HEARD_HZ)

    def _hop(self, pcm: Pcm, end_s: float) -> AudioHop:
        voice = self._voice
        loudness_db = level_db(pcm)
        probability = self._vad.probability(pcm)
        if self._near and not voice.speaking and self._is_faint(probability, loudness_db):
            probability = 0.0
        change = voice.hear(probability, end_s)
        self._prosody.push(pcm, end_s, voice=voice.speaking)
        return AudioHop(
            end_s=end_s,
            change=change,
            speaking=voice.speaking,
            level=min(max((loudness_db + 50) / 40, 0.0), 1.0),
            voiced_until_s=voice.voiced_until_s,
        )

    def _is_faint(self, probability: float, loudness_db: float) -> bool:
        usual_db = self._prosody.usual_level_db
        if probability < 0.5 or usual_db is None:
            return False
        if loudness_db > usual_db - FAINT_DB:
            self._faint_s = 0.0
            return False
        self._faint_s += VAD_HOP_S
        return self._faint_s < FAINT_AFTER_S

    def preroll(self) -> Pcm:
        """The last half second, so that the recognizer does not miss the first sound of a turn."""
        blocks = [block.pcm for block in self._preroll]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)

    def forget_before(self, time_s: float) -> None:
        """Drop earlier sound from the preroll: it belongs to a turn that is over."""
        while self._preroll and self._preroll[0].start_s < time_s:
            self._preroll.popleft()

    def overlap_voice(self, started_s: float) -> OverlapVoice:
        """What the voice that began at `started_s` has sounded like so far."""
        return overlap_voice(self._prosody.since(started_s), started_s)

    def prosody(self, from_s: float, until_s: float) -> PhraseProsody:
        """How the speech from `from_s` to `until_s`, the onset of a pause, sounded; ask once a pause."""
        return self._prosody.phrase_end(from_s, until_s)

    def speech_end_s(self, before_s: float) -> float:
        """When the waveform itself last rose above its noise floor, at or before `before_s`.

        In loud noise the waveform cannot tell, so the answer stays near the last voiced hop.
        """
        voiced_s = self._voice.voiced_until_s
        edge_s = self._edges.last_loud_s(before_s)
        if edge_s is None:
            return voiced_s
        return min(max(edge_s, voiced_s - EDGE_BEFORE_S), voiced_s + EDGE_AFTER_S)
