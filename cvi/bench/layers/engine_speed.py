"""`cvi bench llm` and `cvi bench tts`: how soon a model or a voice begins, how fast it goes on.

Of a language model also how well it judges a turn's end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

import cvi
from cvi.bench.layers.measurement import EngineRequest, finish, milliseconds, proportion, wins
from cvi.bench.run import Figure, Variant
from cvi.engine_registry import build
from cvi.errors import UsageError
from cvi.llm.base import LlmEngine, LlmSettings, Message, Sampling
from cvi.tts.base import TtsEngine, TtsSettings

SYSTEM = (
    "You are Ada, the guide of a small museum of clocks. You answer in one or two short sentences. "
    "You know every clock in the house, who made it, when, and why it still runs or does not. "
    "When you are asked about anything else, you lead back to the clocks in a friendly way. "
)
GREETING = "Hello, I'm Ada. What would you like to know?"
TURNS = (
    "could you tell me about the big clock",
    "how old is it",
    "who made it and why",
    "what happens when it stops",
    "is there anything older in this house",
)
REPLY_TOKENS = 32
ENDINGS = "turn_endings.tsv"


@dataclass(slots=True)
class LlmTimes:
    """All in seconds but for the rates and probabilities."""

    cold_s: list[float] = field(default_factory=list)
    warm_s: list[float] = field(default_factory=list)
    judge_s: list[float] = field(default_factory=list)
    giving_way_s: list[float] = field(default_factory=list)
    pieces_per_s: list[float] = field(default_factory=list)
    complete: list[float] = field(default_factory=list)
    broken: list[float] = field(default_factory=list)
    ending_s: list[float] = field(default_factory=list)


def measure_llm(
    request: EngineRequest,
    *,
    rounds: int,
    threads: Sequence[int],
    busy: Sequence[int],
    endings: Path | None,
    output: Path | None,
    json: bool,
) -> None:
    """Measure in real time for each number of `threads` and of `busy` cores, store, print."""
    config = request.resolved()
    choice = request.choice(config, "llm")
    path = endings or Path(cvi.__file__).parents[1] / "scripts" / ENDINGS
    pairs = read_endings(path) if endings or path.is_file() else []
    recorder = request.recorder("llm", config, output, rounds=rounds, pairs=len(pairs))
    if not pairs:
        recorder.notes.append(f"How well turns are judged needs {ENDINGS} of a checkout, or --endings.")
    counts: list[int | None] = list(threads) or [None]
    conditions: list[tuple[int | None, int]] = list(product(counts, busy or [0]))
    variants: list[Variant] = []

    async def run(count: int | None, others: int) -> LlmTimes:
        settings = LlmSettings(model=choice.model, threads=count)
        engine: LlmEngine = await asyncio.to_thread(build, "llm", choice.engine, settings)
        try:
            async with busy_cores(others):
                times = await time_llm(engine, rounds)
            if not variants:  # judging well does not depend on who else computes
                await judge_endings(engine, pairs, times)
        finally:
            await engine.close()
        return times

    for count, others in conditions:
        name = f"{count} threads" if count else choice.engine
        name += f", {others} busy" if others or len(conditions) > 1 else ""
        model = Path(choice.model).stem if choice.model else "shipped model"
        variants.append(llm_variant(name, model, choice.engine, asyncio.run(run(count, others))))
    finish(recorder, variants, json)


async def time_llm(engine: LlmEngine, rounds: int) -> LlmTimes:
    """Speed in real time: `rounds` turns as a conversation has them, and as many prompts never seen."""
    times = LlmTimes()
    for number in range(rounds):
        # A number at the front leaves nothing of the prompt in any cache.
        cold = [Message("system", f"{number + 1}. {SYSTEM}"), Message("user", TURNS[number % len(TURNS)])]
        first_s, _ = await _stream(engine, cold, 1)
        times.cold_s.append(first_s)
    history = [Message("system", SYSTEM), Message("assistant", GREETING)]
    await engine.warm(history)
    for number in range(rounds):
        turn = TURNS[number % len(TURNS)]
        words = turn.split()
        for end in range(1, len(words) - 1):
            await engine.prefill(history, " ".join(words[:end]))
        since = time.perf_counter()
        judged = await engine.completeness(history, turn)
        if judged is not None:
            times.judge_s.append(time.perf_counter() - since)
        asked = [*history, Message("user", turn)]
        first_s, rate = await _stream(engine, asked, REPLY_TOKENS)
        times.warm_s.append(first_s)
        if rate is not None:
            times.pieces_per_s.append(rate)
        reading = asyncio.create_task(engine.prefill(history, "a long sentence that goes on " * 12))
        await asyncio.sleep(0.05)
        first_s, _ = await _stream(engine, asked, 1)
        times.giving_way_s.append(first_s)
        await reading
    return times


async def judge_endings(engine: LlmEngine, pairs: Sequence[tuple[str, str, str]], times: LlmTimes) -> None:
    """Each pair's complete and broken turn after its question; nothing where the engine cannot tell."""
    for question, complete, broken in pairs:
        before = [Message("system", SYSTEM), Message("assistant", question or GREETING)]
        for text, found in ((complete, times.complete), (broken, times.broken)):
            since = time.perf_counter()
            judged = await engine.completeness(before, text)
            if judged is None:
                return
            times.ending_s.append(time.perf_counter() - since)
            found.append(judged)


def read_endings(path: Path) -> list[tuple[str, str, str]]:
    """Question (may be empty), complete turn, broken turn: tab-separated. Raises UsageError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    pairs: list[tuple[str, str, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != 3:
            complaint = f"{path}:{number}: this line has {len(cells)} columns, not 3."
            raise UsageError(complaint, "Write question, complete turn, broken turn, with tabs between.")
        pairs.append((cells[0], cells[1], cells[2]))
    return pairs


def separation(
    complete: Sequence[float], broken: Sequence[float], seed: int = 0
) -> tuple[float, float, float]:
    """Area under the ROC curve, with its 95 % interval over pairs drawn anew."""
    above = wins(complete, broken)
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(len(complete), size=len(complete)) for _ in range(500)]
    areas = [float(above[np.ix_(take, take)].mean()) for take in drawn]
    low, high = np.percentile(areas, [2.5, 97.5])
    return float(above.mean()), float(low), float(high)


def llm_variant(name: str, about: str, engine: str, times: LlmTimes) -> Variant:
    """The figures of one model in one condition."""
    figures = [
        milliseconds("first_token_cold_ms", "first piece, prompt never seen", times.cold_s),
        milliseconds("first_token_warm_ms", "first piece, prompt and turn read while spoken", times.warm_s),
        milliseconds("giving_way_ms", "first piece, while it was reading something else", times.giving_way_s),
        Figure("pieces_per_s", "pieces a second", "/s", tuple(times.pieces_per_s), lower_is_better=False),
        milliseconds("judge_ms", "judging a turn, its last words new", times.judge_s),
    ]
    if times.complete and times.broken:
        area, low, high = separation(times.complete, times.broken)
        label = f"complete from broken turns: area under the curve, {len(times.complete)} pairs"
        figures += [
            Figure("completeness_auc", label, "", (area,), lower_is_better=False, interval=(low, high)),
            proportion(
                "complete_missed", "complete turns judged below 0.5", (p < 0.5 for p in times.complete)
            ),
            proportion("broken_taken", "broken turns judged 0.5 or above", (p >= 0.5 for p in times.broken)),
            milliseconds("judge_whole_ms", "judging a turn, all of it new", times.ending_s),
        ]
    return Variant(name, about, {"llm": engine}, figures=tuple(figures))


@asynccontextmanager
async def busy_cores(count: int) -> AsyncIterator[None]:
    """`count` other processes that compute without a pause, as the face does."""
    spin = "while True: pass"
    others = [await asyncio.create_subprocess_exec(sys.executable, "-c", spin) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            await other.wait()


async def _stream(engine: LlmEngine, messages: Sequence[Message], tokens: int) -> tuple[float, float | None]:
    """Seconds to the first piece, and pieces a second after it, None of fewer than five."""
    since = time.perf_counter()
    stream = engine.stream(messages, Sampling(max_tokens=tokens))
    at = [time.perf_counter() async for _ in stream]
    if not at:
        return time.perf_counter() - since, None
    return at[0] - since, (len(at) - 1) / (at[-1] - at[0]) if len(at) > 4 else None


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
