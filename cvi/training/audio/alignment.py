"""Phones with times from a known script: forced alignment, sentence by sentence.

Free recognition of phones is poor; with known words it is good (word boundaries within about 25 ms). Where in
the film each sentence is read follows from the pauses and from how long the sentences must be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm, to_float
from cvi.errors import MissingError
from cvi.training.footage.spans import runs
from cvi.tts.base import Phone
from cvi.tts.ipa import ARPABET

_FRAME_S = 0.010
_PAUSE_S, _SHORTEST_S = 0.30, 0.12
_QUIET_DB = 26.0
_PHONE_S = 0.085
"""Length of a phone in reading; only ratios matter."""
_MARGIN_S = 0.15
_MOST_SENTENCES, _MOST_STRETCHES = 3, 8
_SKIP_STRETCH, _SKIP_SENTENCE = 0.9, 1.2
"""Cost of leaving out a second of speech, or of the script."""
_JOINED = 0.4
"""Cost of a sentence that follows another without a pause."""
# Wide beams are affordable since the words are known.
_BEAMS = (1e-60, 1e-100)


@dataclass(frozen=True, slots=True)
class AlignedSentence:
    """A stretch of the film, [start_s, end_s), with its phones, whose times count from `start_s`."""

    text: str
    start_s: float
    end_s: float
    phones: tuple[Phone, ...]


def sentences(script: str) -> list[str]:
    """A script as sentences of plain lower-case words, without what stands in brackets or tags."""
    plain = re.sub(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>|^#.*$", " ", script, flags=re.MULTILINE)
    out: list[str] = []
    for part in re.split(r"[.!?;:]+\s|\n", plain + "\n"):
        text = re.sub(r"\d+", lambda match: f" {_in_words(int(match[0]))} ", part.lower().replace("’", "'"))
        words = re.findall(r"[a-z]+(?:'[a-z]+)*", text)
        if words:
            out.append(" ".join(words))
    return out


def align(pcm: Pcm, script: str) -> list[AlignedSentence]:
    """The sentences that could be aligned with `pcm` (int16 at HEARD_HZ, the whole film), in order of time.

    For English, the acoustic model's language. Sentences with an unknown word, and those not read as written,
    are left out. Raises MissingError without pocketsphinx.
    """
    decoder = _Aligner()
    found: list[AlignedSentence] = []
    for texts, start_s, end_s in _placed(decoder.known(script), _stretches(pcm)):
        first = max(0, round((start_s - _MARGIN_S) * HEARD_HZ))
        piece = pcm[first : round((end_s + _MARGIN_S) * HEARD_HZ)]
        phones = decoder.align(piece, " ".join(texts))
        if phones:
            begin_s = first / HEARD_HZ
            found.append(
                AlignedSentence(" ".join(texts), begin_s, begin_s + len(piece) / HEARD_HZ, tuple(phones))
            )
    return found


def known_sentences(script: str) -> list[str]:
    """The sentences `align` looks for: those of known words. Raises MissingError without pocketsphinx."""
    return [text for text, _ in _Aligner().known(script)]


def _stretches(pcm: Pcm) -> list[tuple[float, float]]:
    """Speech between pauses, start and end in seconds."""
    step = round(_FRAME_S * HEARD_HZ)
    frames = to_float(pcm[: len(pcm) // step * step]).reshape(-1, step).astype(np.float64)
    if not len(frames):
        return []
    level = 10 * np.log10((frames**2).mean(1) + 1e-9)
    voiced = level > np.percentile(level, 95) - _QUIET_DB
    reach = round(_PAUSE_S / _FRAME_S / 2)
    near = np.convolve(voiced, np.ones(2 * reach + 1), "same") > 0
    out = []
    for start, end in runs(near):
        start, end = start + reach, end - reach
        if (end - start) * _FRAME_S >= _SHORTEST_S:
            out.append((start * _FRAME_S, end * _FRAME_S))
    return out


def _placed(
    known: Sequence[tuple[str, int]], stretches: Sequence[tuple[float, float]]
) -> list[tuple[list[str], float, float]]:
    """Which sentences are read in which stretches, by dynamic programming over both in order."""
    rate = _pace(known, stretches)
    rows, columns = len(known) + 1, len(stretches) + 1
    cost = np.full((rows, columns), np.inf)
    cost[0, 0] = 0.0
    back: dict[tuple[int, int], tuple[int, int]] = {}

    def reach(source: tuple[int, int], target: tuple[int, int], price: float) -> None:
        total = cost[source] + price
        if total < cost[target]:
            cost[target], back[target] = total, source

    for i in range(rows):
        for j in range(columns):
            if not np.isfinite(cost[i, j]):
                continue
            if j < len(stretches):
                length = stretches[j][1] - stretches[j][0]
                reach((i, j), (i, j + 1), _SKIP_STRETCH * length)
            if i < len(known):
                reach((i, j), (i + 1, j), _SKIP_SENTENCE * known[i][1] * _PHONE_S)
            for many in range(1, min(_MOST_SENTENCES, len(known) - i) + 1):
                wanted_s = rate * sum(count for _, count in known[i : i + many])
                for more in range(1, min(_MOST_STRETCHES, len(stretches) - j) + 1):
                    part = stretches[j : j + more]
                    spoken_s = sum(end - start for start, end in part)
                    off = float(np.log(spoken_s / wanted_s))
                    price = wanted_s * min(off * off * 4.0, 4.0) + _JOINED * (many - 1) + 0.02 * (more - 1)
                    reach((i, j), (i + many, j + more), price)
    out: list[tuple[list[str], float, float]] = []
    at = (rows - 1, columns - 1)
    while at in back:
        before = back[at]
        if at[0] > before[0] and at[1] > before[1]:
            texts = [text for text, _ in known[before[0] : at[0]]]
            out.append((texts, stretches[before[1]][0], stretches[at[1] - 1][1]))
        at = before
    return out[::-1]


def _pace(known: Sequence[tuple[str, int]], stretches: Sequence[tuple[float, float]]) -> float:
    """This reader's seconds a phone: all speech over all phones, within plausible bounds."""
    sounds = sum(count for _, count in known)
    spoken_s = sum(end - start for start, end in stretches)
    return min(max(spoken_s / max(sounds, 1), 0.7 * _PHONE_S), 1.4 * _PHONE_S)


class _Aligner:
    """pocketsphinx with its English model."""

    def __init__(self) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise MissingError(
                "Aligning a script needs pocketsphinx, which is not installed.",
                "Install it with: pip install 'pocketsphinx>=5.1.1,<5.2'",
            ) from error
        self._make = pocketsphinx.Decoder
        self._decoders: dict[float, Any] = {}
        self._words = self._with(_BEAMS[0])

    def known(self, script: str) -> list[tuple[str, int]]:
        """The sentences of which every word is in the dictionary, and how many phones each has."""
        counted = [(text, self.count(text)) for text in sentences(script)]
        return [(text, sounds) for text, sounds in counted if sounds]

    def count(self, text: str) -> int:
        """How many phones a sentence has; 0 where a word is not in the dictionary."""
        total = 0
        for word in text.split():
            sounds = self._words.lookup_word(word)
            if sounds is None:
                return 0
            total += len(sounds.split())
        return total

    def align(self, pcm: Pcm, text: str) -> list[Phone]:
        """Phones with times in `pcm`; [] where the words are not found in it."""
        data = pcm.tobytes()
        for beam in _BEAMS:
            decoder = self._with(beam)
            try:
                decoder.set_align_text(text)
                self._process(decoder, data)
                if not decoder.hyp():
                    continue
                decoder.set_alignment()
                self._process(decoder, data)
                alignment = decoder.get_alignment()
            except (RuntimeError, ValueError):
                continue  # not found with this beam
            if alignment is not None:
                return _phones(alignment)
        return []

    def _with(self, beam: float) -> Any:
        if beam not in self._decoders:
            self._decoders[beam] = self._make(
                samprate=HEARD_HZ, loglevel="FATAL", bestpath=False, beam=beam, wbeam=beam, pbeam=beam
            )
        return self._decoders[beam]

    @staticmethod
    def _process(decoder: Any, data: bytes) -> None:
        decoder.start_utt()
        decoder.process_raw(data, full_utt=True)
        decoder.end_utt()


def _phones(alignment: Any) -> list[Phone]:
    """The phones, without silences and noises."""
    found: list[Phone] = []
    for word in alignment:
        for sound in word:
            ipa = ARPABET.get(str(sound.name).lower(), "")
            if ipa:
                start_s = float(sound.start) * _FRAME_S
                found.append(Phone(ipa, start_s, start_s + float(sound.duration) * _FRAME_S))
    return found


def _in_words(number: int) -> str:
    from num2words import num2words

    return str(num2words(number)).replace("-", " ").replace(",", "")
