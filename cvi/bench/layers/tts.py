"""`cvi bench tts`: how soon a voice is heard, and how much faster than speech it is made."""

from __future__ import annotations

import time

from cvi.bench.run import Figure, Variant
from cvi.tts.base import TtsEngine

# Clauses as a reply has them: short openings, a long one, numbers and names.
SENTENCES = (
    "Good question.",
    "I can hear you well.",
    "Let me think about that for a moment.",
    "The tower was built in 1847, and it has run ever since.",
    "You don't need an account; everything stays on your own machine.",
    "There are three things to know before we begin.",
    "Dr. Smith paid $3.50 for it, which was a lot at the time.",
    "When the wind comes from the sea, the whole house hums like a low string, and nobody sleeps.",
    "No, not yet.",
    "Would you like me to tell you more about the people who lived here?",
    "First you turn the key, then you wait until the light is green, and only then you open the door.",
    "Thank you for asking.",
)


async def time_voice(engine: TtsEngine, name: str, rounds: int) -> Variant:
    """Every sentence `rounds` times, one after the other, in real time."""
    await engine.warm()
    first_ms: list[float] = []
    factor: list[float] = []
    length_s: list[float] = []
    for _ in range(rounds):
        for sentence in SENTENCES:
            first, whole, spoken_s = await _speak(engine, sentence)
            if spoken_s:
                first_ms.append(1000 * first)
                factor.append(whole / spoken_s)
                length_s.append(spoken_s)
    figures = (
        Figure("first_audio_ms", "first sound", "ms", tuple(first_ms)),
        Figure("real_time_factor", "making it, against its length", "", tuple(factor)),
        Figure("spoken_s", "length of a sentence", "s", tuple(length_s)),
    )
    return Variant(name, f"{len(SENTENCES)} sentences", {"tts": engine.name}, figures=figures)


async def _speak(engine: TtsEngine, text: str) -> tuple[float, float, float]:
    """Seconds to the first piece, to the last, and of sound."""
    since = time.perf_counter()
    arrivals: list[float] = []
    spoken_s = 0.0
    async for piece in engine.speak(text):
        arrivals.append(time.perf_counter() - since)
        spoken_s += piece.duration_s
    return (arrivals[0], arrivals[-1], spoken_s) if arrivals else (0.0, 0.0, 0.0)
