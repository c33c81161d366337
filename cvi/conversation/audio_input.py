"""The way in: microphone blocks -> voice changes, the true edge of speech, and the recognizer's audio."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, AudioBlock, Pcm
from cvi.audio.level import FLOOR_DB, SpeechEdges, level_db
from cvi.transport.base import Transport
from cvi.turns.base import VAD_HOP_SAMPLES, VadEngine
from cvi.turns.voice import VoiceChange, VoiceState

PREROLL_S = 0.5
# How far the waveform's edge may lie from the detector's (tests/audio/test_level.py, noisy recordings).
EDGE_BEFORE_S = 0.4
EDGE_AFTER_S = 0.1


class AudioInput:
    """Listens until the participant has left. `on_change` and `on_hop` are called on the event loop."""

    def __init__(
        self,
        transport: Transport,
        vad: VadEngine,
        voice: VoiceState,
        *,
        on_change: Callable[[VoiceChange], None],
        on_hop: Callable[[float], None],
        on_audio: Callable[[Pcm], None],
    ) -> None:
        self._transport = transport
        self._vad = vad
        self._voice = voice
        self._on_change = on_change
        self._on_hop = on_hop
        self._on_audio = on_audio
        self._edges = SpeechEdges()
        self._preroll: deque[AudioBlock] = deque(maxlen=round(PREROLL_S / HOP_S))
        self._hop: list[Pcm] = []
        self._hop_samples = 0
        self._hop_db = self._loudest_db = FLOOR_DB
        self.level = 0.0
        """Loudness of the last hop, 0 (-50 dB and below) to 1 (-10 dB and above)."""

    @property
    def speaking(self) -> bool:
        return self._voice.speaking

    @property
    def voiced_until_s(self) -> float:
        """The end of the last 32 ms that held voice."""
        return self._voice.voiced_until_s

    @property
    def fallen_db(self) -> float:
        """How much quieter the last 32 ms were than the loudest of the voice under way; 0 at its loudest."""
        return self._loudest_db - self._hop_db

    def preroll(self) -> Pcm:
        """The last half second, so that the recognizer does not miss the first sound of a turn."""
        blocks = [block.pcm for block in self._preroll]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)

    def forget_before(self, time_s: float) -> None:
        """What was said before belongs to a turn that is over: it is no lead-in of the next."""
        while self._preroll and self._preroll[0].start_s < time_s:
            self._preroll.popleft()

    def speech_end_s(self, before_s: float) -> float:
        """When the waveform itself last rose above its noise floor, at or before `before_s`.

        In loud noise the waveform cannot tell; so the answer stays near the last voiced hop.
        """
        voiced_s = self._voice.voiced_until_s
        found = self._edges.last_loud_s(before_s)
        if found is None:
            return voiced_s
        return min(max(found, voiced_s - EDGE_BEFORE_S), voiced_s + EDGE_AFTER_S)

    async def run(self) -> None:
        async for block in self._transport.microphone():
            self._hear(block)

    def _hear(self, block: AudioBlock) -> None:
        self._edges.feed(block)
        self._preroll.append(block)
        self._on_audio(block.pcm)
        self._hop.append(block.pcm)
        self._hop_samples += len(block.pcm)
        while self._hop_samples >= VAD_HOP_SAMPLES:
            joined = np.concatenate(self._hop)
            rest = joined[VAD_HOP_SAMPLES:]
            self._hop, self._hop_samples = [rest], len(rest)
            hop_end_s = block.end_s - len(rest) / HEARD_HZ
            self._hop_db = level_db(joined[:VAD_HOP_SAMPLES])
            self._loudest_db = max(self._hop_db, self._loudest_db if self._voice.speaking else FLOOR_DB)
            self.level = min(max((self._hop_db + 50) / 40, 0.0), 1.0)
            change = self._voice.hear(self._vad.probability(joined[:VAD_HOP_SAMPLES]), hop_end_s)
            if change is not None:
                self._on_change(change)
            self._on_hop(hop_end_s)
