"""`cvi bench stt`: how exact and how fast a recognizer is, fed at the pace of speech."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, HOP_S, HOP_SAMPLES
from cvi.bench.layers.measurement import (
    EngineRequest,
    build_stt,
    count_sources,
    finish,
    milliseconds,
    show_progress,
)
from cvi.bench.layers.simulation import SimulatedLoop, run_simulated
from cvi.bench.recordings.labelled_recordings import LabelledUtterance, Recordings
from cvi.bench.run import Figure, Variant
from cvi.bench.statistics import RESAMPLES, Interval
from cvi.errors import UsageError
from cvi.stt.base import SttEngine

PARTIAL_EVERY_S = 0.3
"""As the conversation asks; partial text costs time that the final one may have to wait for."""
MOST_KINDS = 4

# Two spellings of one word; what is read aloud alike is no error.
_SPELLINGS = {
    "mister": "mr", "missus": "mrs", "misses": "mrs", "doctor": "dr", "okay": "ok", "alright": "all right",
    "cannot": "can not", "gonna": "going to", "wanna": "want to", "%": "percent", "&": "and",
}  # fmt: skip
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*(?:st|nd|rd|th)?|[^\W\d_]+(?:'[^\W\d_]+)*|[%&]")


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Of one utterance: `words` spoken, and how many were substituted, left out (deleted) or made up
    (inserted)."""

    words: int
    substituted: int
    left_out: int
    made_up: int

    @property
    def errors(self) -> int:
        """All of them."""
        return self.substituted + self.left_out + self.made_up


@dataclass(frozen=True, slots=True)
class Recognition:
    """One utterance as it was written. `final_s`: from the last sample to the final text. `computed_s`: all
    the engine computed."""

    utterance: LabelledUtterance
    written: str
    errors: WordErrors
    length_s: float
    final_s: float
    computed_s: float

    @property
    def source(self) -> str:
        """The folder or kind of the utterance."""
        return self.utterance.source


def measure_stt(
    found: Recordings, request: EngineRequest, *, data: str, language: str, output: Path | None, json: bool
) -> None:
    """Measure, store, print. Raises UsageError when the recordings have no transcripts."""
    if not found.utterances:
        raise UsageError(f"{data} has no transcripts.", "Give NAME.txt beside NAME.wav, or another layout.")
    config = request.resolved()
    choice = request.choice(config, "stt")
    if choice.engine == "openai":
        raise UsageError("An endpoint cannot be waited for in simulated time.", "Choose a local engine.")
    counts = count_sources(found.utterances)
    recorder = request.recorder("stt", config, output, data=data, utterances=counts)

    async def run() -> list[Recognition]:
        engine = await build_stt(choice, language)
        try:
            await engine.warm()
            return await recognize(found.utterances, engine, show_progress(len(found.utterances)))
        finally:
            engine.close()

    recognized = run_simulated(run(), wall=recorder.profile == "workstation")
    recorder.write(
        "written.json",
        [{"id": r.utterance.id, "said": r.utterance.text, "written": r.written} for r in recognized],
    )
    finish(recorder, [stt_variant(name, part, choice.engine) for name, part in _parts(recognized)], json)


def _parts(recognized: Sequence[Recognition]) -> list[tuple[str, list[Recognition]]]:
    """All, and each kind or folder where there are a few of them."""
    counts = count_sources(recognized)
    kinds = sorted(counts, key=lambda kind: -counts[kind])[:MOST_KINDS]
    parts = [(kind, [one for one in recognized if one.source == kind]) for kind in kinds]
    return [("all", list(recognized)), *(parts if len(parts) > 1 else [])]


async def recognize(
    utterances: Sequence[LabelledUtterance], engine: SttEngine, progress: Callable[[str], None]
) -> list[Recognition]:
    """Each utterance as one turn. Runs on a `SimulatedLoop`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimulatedLoop)
    recognized: list[Recognition] = []
    for utterance in utterances:
        pcm = utterance.sound()
        before_s, began = loop.computed_s, loop.time()
        stream = engine.open()
        partial: asyncio.Task[str] | None = None
        for number, start in enumerate(range(0, len(pcm), HOP_SAMPLES), 1):
            await asyncio.sleep(began + number * HOP_S - loop.time())
            stream.feed(pcm[start : start + HOP_SAMPLES])
            if number % round(PARTIAL_EVERY_S / HOP_S) == 0 and (partial is None or partial.done()):
                partial = loop.create_task(stream.partial())
        asked = loop.time()
        written = await stream.final()
        final_s = loop.time() - asked
        if partial is not None:
            await partial
        stream.close()
        errors = word_errors(utterance.text, written)
        computed_s = loop.computed_s - before_s
        recognized.append(Recognition(utterance, written, errors, len(pcm) / HEARD_HZ, final_s, computed_s))
        progress(utterance.id)
    return recognized


def stt_variant(name: str, recognized: Sequence[Recognition], engine: str) -> Variant:
    """The figures of some utterances."""
    rate = error_rate([one.errors for one in recognized])
    percent = Interval(100 * rate.value, 100 * rate.low, 100 * rate.high) if rate else None
    words = sum(one.errors.words for one in recognized)

    def total(kind: str, label: str) -> Figure:
        return Figure(kind, label, "", (float(sum(getattr(one.errors, kind) for one in recognized)),))

    figures = (
        Figure(
            "wer",
            "word error rate",
            "%",
            (percent.value,) if percent else (),
            interval=(percent.low, percent.high) if percent else None,
        ),
        Figure("words", "words spoken", "", (float(words),), lower_is_better=False),
        total("substituted", "substituted"),
        total("left_out", "left out"),
        total("made_up", "made up"),
        milliseconds("final_ms", "final text, after the last sound", (one.final_s for one in recognized)),
        Figure(
            "real_time_factor",
            "computing, against the sound's length",
            "",
            tuple(one.computed_s / one.length_s for one in recognized if one.length_s),
        ),
    )
    return Variant(name, f"{len(recognized)} utterances", {"stt": engine}, figures=figures)


def normalized(text: str) -> list[str]:
    """Lower-case words without punctuation; numbers written out; one spelling for each word.

    >>> normalized("Mister Smith's 21st, O.K.?")
    ['mr', "smith's", 'twenty', 'first', 'ok']
    """
    plain = re.sub(r"\b(?:[A-Za-z]\.){2,}", lambda m: m.group().replace(".", ""), text)
    plain = plain.lower().replace("’", "'")
    words: list[str] = []
    for token in _TOKEN.findall(plain):
        spelled = _number(token) if token[0].isdigit() else _SPELLINGS.get(token, token)
        words += spelled.split()
    return words


def word_errors(spoken: str, written: str) -> WordErrors:
    """The fewest substitutions, omissions and insertions that make `written` of `spoken` (Levenshtein)."""
    a, b = normalized(spoken), normalized(written)
    # cost[j] and its parts for the words of `a` so far against the first j of `b`.
    row = [(j, 0, 0, j) for j in range(len(b) + 1)]
    for i, word in enumerate(a, 1):
        above, row = row, [(i, 0, i, 0)]
        for j, other in enumerate(b, 1):
            cost, wrong, out, made = above[j - 1]
            same = word == other
            row.append(
                min(
                    (cost + (not same), wrong + (not same), out, made),
                    (above[j][0] + 1, above[j][1], above[j][2] + 1, above[j][3]),
                    (row[j - 1][0] + 1, row[j - 1][1], row[j - 1][2], row[j - 1][3] + 1),
                )
            )
    _, wrong, out, made = row[-1]
    return WordErrors(len(a), wrong, out, made)


def error_rate(found: Sequence[WordErrors], seed: int = 0) -> Interval | None:
    """All errors over all words, with an interval over utterances drawn anew; None without words."""
    words = np.array([one.words for one in found], np.float64)
    errors = np.array([one.errors for one in found], np.float64)
    if not words.sum():
        return None
    drawn = np.random.default_rng(seed).integers(len(words), size=(RESAMPLES, len(words)))
    rates = errors[drawn].sum(axis=1) / np.maximum(words[drawn].sum(axis=1), 1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return Interval(float(errors.sum() / words.sum()), float(low), float(high))


def _number(token: str) -> str:
    """A number as it is read: "21" is "twenty one", "3rd" is "third"."""
    from num2words import num2words

    digits = re.sub(r"(?<=\d),(?=\d{3})", "", token)
    if digits[-2:] in ("st", "nd", "rd", "th"):
        spoken = num2words(int(re.sub(r"\D", "", digits)), to="ordinal")
    else:
        try:
            spoken = num2words(float(digits) if "." in digits else int(digits))
        except ValueError:
            return digits
    return re.sub(r"[-,]| and ", " ", str(spoken))
