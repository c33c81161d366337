"""`cvi bench stt`: how exact and how fast a recognizer is, fed at the pace of speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES
from cvi.bench.layers.simulated import SimulatedLoop
from cvi.bench.layers.words import WordErrors, error_rate, word_errors
from cvi.bench.recordings.labels import LabelledUtterance
from cvi.bench.run import Figure, Variant
from cvi.stt.base import SttEngine

PARTIAL_EVERY_S = 0.3
"""As the conversation asks; partial text costs time that the final one may have to wait for."""


@dataclass(frozen=True, slots=True)
class Recognized:
    """`final_s`: from the last sample to the final text. `computed_s`: all the engine computed."""

    utterance: LabelledUtterance
    written: str
    errors: WordErrors
    length_s: float
    final_s: float
    computed_s: float


async def recognize(
    utterances: Sequence[LabelledUtterance], engine: SttEngine, progress: Callable[[str], None]
) -> list[Recognized]:
    """Each utterance as one turn. Runs on a `SimulatedLoop`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    found: list[Recognized] = []
    for utterance in utterances:
        pcm = utterance.sound()
        before_s = loop.computed_s
        stream = engine.open()
        asking: asyncio.Task[str] | None = None
        began = loop.time()
        for number, start in enumerate(range(0, len(pcm), HOP_SAMPLES), 1):
            await asyncio.sleep(began + number * HOP_S - loop.time())
            stream.feed(pcm[start : start + HOP_SAMPLES])
            if number % round(PARTIAL_EVERY_S / HOP_S) == 0 and (asking is None or asking.done()):
                asking = loop.create_task(stream.partial())
        asked = loop.time()
        written = await stream.final()
        final_s = loop.time() - asked
        if asking is not None:
            await asking
        stream.close()
        found.append(
            Recognized(
                utterance,
                written,
                word_errors(utterance.text, written),
                len(pcm) / HEARD_HZ,
                final_s,
                loop.computed_s - before_s,
            )
        )
        progress(utterance.id)
    return found


def stt_variant(name: str, found: Sequence[Recognized], engine: str) -> Variant:
    """The figures of some utterances."""
    rate = error_rate([one.errors for one in found])
    words = sum(one.errors.words for one in found)
    wrong = [
        sum(getattr(one.errors, kind) for one in found) for kind in ("substituted", "left_out", "made_up")
    ]
    figures = (
        Figure(
            "wer",
            "word error rate",
            "%",
            (100 * rate.value,) if rate else (),
            interval=(100 * rate.low, 100 * rate.high) if rate else None,
        ),
        Figure("words", "words said", "", (float(words),), lower_is_better=False),
        *(
            Figure(key, label, "", (float(count),))
            for key, label, count in zip(
                ("substituted", "left_out", "made_up"),
                ("put wrong", "left out", "made up"),
                wrong,
                strict=True,
            )
        ),
        Figure(
            "final_ms", "final text, after the last sound", "ms", tuple(1000 * one.final_s for one in found)
        ),
        Figure(
            "real_time_factor",
            "computing, against the sound's length",
            "",
            tuple(one.computed_s / one.length_s for one in found if one.length_s),
        ),
    )
    return Variant(name, f"{len(found)} utterances", {"stt": engine}, figures=figures)
