"""The runs of `cvi bench stt`, `llm`, `tts` and `face`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import cvi
from cvi.bench.layers.engines import Wanted, build_stt, build_tts, cast_of, layer_choice
from cvi.bench.layers.face import time_face
from cvi.bench.layers.face_memory import memory_of
from cvi.bench.layers.keeping import Measuring, print_run, sources
from cvi.bench.layers.llm import LlmTimes, busy_cores, judge_endings, llm_variant, read_endings, time_llm
from cvi.bench.layers.simulated import run_simulated
from cvi.bench.layers.stt import Recognized, recognize, stt_variant
from cvi.bench.layers.tts import time_voice
from cvi.bench.layers.turn_runs import say_progress
from cvi.bench.recordings.labels import Recordings
from cvi.bench.run import Variant
from cvi.engine_registry import build
from cvi.engines import ResolvedConfig
from cvi.errors import UsageError
from cvi.face.base import FaceEngine, FaceSettings
from cvi.face.replica import find_replica, load_replica_card
from cvi.llm.base import LlmEngine, LlmSettings
from cvi.models.profiles import EngineChoice

ENDINGS = "turn_endings.tsv"
MOST_SIDES = 4


def measure_stt(
    found: Recordings, wanted: Wanted, *, data: str, language: str, output: Path | None, json: bool
) -> None:
    """Measure, keep, print. Raises UsageError when the recordings have no transcripts."""
    if not found.utterances:
        raise UsageError(f"{data} has no transcripts.", "Give NAME.txt beside NAME.wav, or another layout.")
    there = cast_of(wanted)
    choice = layer_choice(wanted, there, "stt")
    if choice.engine == "openai":
        raise UsageError("An endpoint cannot be waited for in simulated time.", "Choose a local engine.")
    counts = dict(sources(found.utterances))
    measuring = _measuring("stt", there, choice, output, data=data, utterances=counts)

    async def run() -> list[Recognized]:
        engine = await build_stt(choice, language)
        try:
            await engine.warm()
            return await recognize(found.utterances, engine, say_progress(len(found.utterances)))
        finally:
            engine.close()

    heard = run_simulated(run(), wall=measuring.profile == "workstation")
    variants = [stt_variant(name, part, choice.engine) for name, part in _parts(heard)]
    measuring.files["written.json"] = [
        {"id": one.utterance.id, "said": one.utterance.text, "written": one.written} for one in heard
    ]
    run_record, folder = measuring.finish(variants)
    print_run(run_record, folder, json)


def _parts(heard: Sequence[Recognized]) -> list[tuple[str, list[Recognized]]]:
    """All, and each kind or folder where there are a few of them."""
    kinds = sources([one.utterance for one in heard])
    alone = [
        (kind, [one for one in heard if one.utterance.source == kind])
        for kind in sorted(kinds, key=lambda kind: -kinds[kind])[:MOST_SIDES]
    ]
    return [("all", list(heard)), *(alone if len(alone) > 1 else [])]


def measure_llm(
    wanted: Wanted,
    *,
    rounds: int,
    threads: Sequence[int],
    busy: Sequence[int],
    endings: Path | None,
    output: Path | None,
    json: bool,
) -> None:
    """Measure in real time, keep, print."""
    there = cast_of(wanted)
    choice = layer_choice(wanted, there, "llm")
    path = endings or Path(cvi.__file__).parents[1] / "scripts" / ENDINGS
    pairs = read_endings(path) if endings or path.is_file() else []
    measuring = _measuring("llm", there, choice, output, rounds=rounds, pairs=len(pairs))
    if not pairs:
        measuring.notes.append(f"How well turns are judged needs {ENDINGS} of a checkout, or --endings.")
    counts: list[int | None] = list(threads) or [None]
    conditions = list(product(counts, busy or [0]))
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
    run_record, folder = measuring.finish(variants)
    print_run(run_record, folder, json)


def measure_tts(
    wanted: Wanted, *, voices: Sequence[str], rounds: int, output: Path | None, json: bool
) -> None:
    """Measure each voice in real time, keep, print."""
    there = cast_of(wanted)
    choice = layer_choice(wanted, there, "tts")
    default = choice.voice or there.replica.voices.get(choice.engine)
    measuring = _measuring("tts", there, choice, output, rounds=rounds)

    async def run(voice: str | None) -> Variant:
        engine = await build_tts(EngineChoice(choice.engine, choice.model, voice))
        try:
            return await time_voice(engine, f"{choice.engine} {voice or 'default'}", rounds)
        finally:
            engine.close()

    variants = [asyncio.run(run(voice)) for voice in voices or (default,)]
    run_record, folder = measuring.finish(variants)
    print_run(run_record, folder, json)


def measure_face(
    replicas: Sequence[str],
    *,
    engine: str | None,
    sizes: Sequence[str],
    seconds: float,
    output: Path | None,
    json: bool,
) -> None:
    """Measure each face at each size in real time on one thread, keep, print."""
    cards = [load_replica_card(find_replica(name)) for name in replicas]
    options = {"replicas": [card.name for card in cards], "seconds": seconds}
    measuring = Measuring("face", options, output=output)
    variants = []
    for card in cards:
        name = engine or card.renderer

        def made(settings: FaceSettings, name: str = name) -> FaceEngine:
            face: FaceEngine = build("face", name, settings)
            return face

        for size in sizes:
            settings = FaceSettings(card.folder, *parse_size(size))
            variant = time_face(made, settings, seconds, [memory_of])
            variants.append(
                replace(variant, name=f"{card.name} {variant.name}") if len(cards) > 1 else variant
            )
    run_record, folder = measuring.finish(variants)
    print_run(run_record, folder, json)


def parse_size(text: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT`, even numbers. Raises UsageError."""
    width, cross, height = text.lower().partition("x")
    try:
        size = int(width), int(height)
    except ValueError:
        size = 0, 0
    if not cross or min(size) < 64 or max(size) > 8192 or size[0] % 2 or size[1] % 2:
        raise UsageError(f"'{text}' is not a picture's size.", "Write WIDTHxHEIGHT, such as 1280x720.")
    return size


def _measuring(
    kind: str, there: ResolvedConfig, choice: EngineChoice, output: Path | None, **options: object
) -> Measuring:
    model = Path(choice.model).name if choice.model else None
    settled = {"engine": choice.engine, "model": model, **options}
    return Measuring(kind, settled, there.profile.name, output)
