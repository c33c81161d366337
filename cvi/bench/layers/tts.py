"""`cvi bench tts`: how soon a voice is heard, and how much faster than speech it is made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from cvi.bench.layers.measurement import EngineRequest, finish, milliseconds
from cvi.bench.run import Figure, Variant
from cvi.engine_registry import build
from cvi.tts.base import TtsEngine, TtsSettings

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


def measure_tts(
    request: EngineRequest, *, voices: Sequence[str], rounds: int, output: Path | None, json: bool
) -> None:
    """Measure each voice in real time, store, print."""
    config = request.resolved()
    choice = request.choice(config, "tts")
    default = choice.voice or config.replica.voices.get(choice.engine)
    recorder = request.recorder("tts", config, output, rounds=rounds)

    async def run(voice: str | None) -> Variant:
        settings = TtsSettings(language="en", voice=voice, model=choice.model)
        engine: TtsEngine = await asyncio.to_thread(build, "tts", choice.engine, settings)
        try:
            return await time_voice(engine, f"{choice.engine} {voice or 'default'}", rounds)
        finally:
            engine.close()

    finish(recorder, [asyncio.run(run(voice)) for voice in voices or (default,)], json)


async def time_voice(engine: TtsEngine, name: str, rounds: int) -> Variant:
    """Every sentence `rounds` times, one after the other, in real time."""
    await engine.warm()
    first_s: list[float] = []
    factor: list[float] = []
    length_s: list[float] = []
    for _ in range(rounds):
        for sentence in SENTENCES:
            first, whole, spoken_s = await _speak(engine, sentence)
            if spoken_s:
                first_s.append(first)
                factor.append(whole / spoken_s)
                length_s.append(spoken_s)
    figures = (
        milliseconds("first_audio_ms", "first sound", first_s),
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
