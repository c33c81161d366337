"""The persona's own signs of listening: a soft "uh-huh" in a pause while the participant talks at length.

They are no replies: nothing of them is history, and the floor stays the participant's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import Pcm
from cvi.errors import EngineError
from cvi.tts.base import TtsEngine

# Words that a voice can read: espeak spells "Mm-hm." letter by letter, and reads a French "Mm." as a unit.
_TEXTS = {
    "en": ("Uh-huh.", "Right.", "I see."),
    "de": ("Aha.", "Ja.", "Verstehe."),
    "es": ("Ajá.", "Claro.", "Ya veo."),
    "fr": ("Oui.", "D'accord.", "Je vois."),
    "it": ("Sì.", "Certo.", "Capisco."),
    "pt": ("Uhum.", "Certo.", "Entendo."),
    "nl": ("Aha.", "Ja.", "Ik snap het."),
    "ru": ("Угу.", "Да.", "Понимаю."),
}
LOUDNESS = 0.5
"""What their sound is multiplied by."""
FIRST_AFTER_S = 6.0
"""How long somebody talks before the first one..."""
AGAIN_AFTER_S = 9.0
"""...and between two."""
LONGEST_S = 1.0


@dataclass(frozen=True, slots=True)
class ListeningSign:
    """Words and their sound, 24 kHz int16."""

    text: str
    pcm: Pcm


async def make_listening_signs(voice: TtsEngine, language: str) -> tuple[ListeningSign, ...]:
    """The signs of `language` in this voice; none for a language without, or where the voice fails."""
    made: list[ListeningSign] = []
    try:
        for text in _TEXTS.get(language, ()):
            pieces = [piece.pcm async for piece in voice.speak(text)]
            pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
            if 0 < len(pcm) <= LONGEST_S * 24_000:
                made.append(ListeningSign(text, (pcm * np.float32(LOUDNESS)).astype(np.int16)))
    except EngineError:
        return ()
    return tuple(made)


class ListeningPolicy:
    """Decides at each pause of the participant whether a sign is due. Event loop only."""

    def __init__(self, signs: Sequence[ListeningSign]) -> None:
        self._signs = tuple(signs)
        self._next = 0
        self._last_s = -AGAIN_AFTER_S

    def at_pause(self, now_s: float, turn_started_s: float, completeness: float) -> ListeningSign | None:
        """The sign for a pause in a turn that began at `turn_started_s` and is probably not over."""
        since_s = max(turn_started_s + FIRST_AFTER_S, self._last_s + AGAIN_AFTER_S)
        if not self._signs or now_s < since_s or completeness >= 0.5:
            return None
        sign = self._signs[self._next % len(self._signs)]
        self._next += 1
        self._last_s = now_s
        return sign
