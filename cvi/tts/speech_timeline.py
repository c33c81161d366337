"""From an engine's own times to `Speech`: phones without gaps, and the words of the written text.

Engines give phone ends, word onsets, or nothing. All times are in seconds of the untrimmed sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.tts.base import Phone, Speech, Word
from cvi.tts.ipa import is_vowel, sounds
from cvi.tts.normalization.spoken_text import SpokenText, SpokenWord

LONGEST_EDGE_S = 0.060
"""Silence left at either end of a piece of speech."""
# The start is what a listener waits for; the end lets a last sound die away.
_KEPT_START_S, _KEPT_END_S = 0.015, 0.050
_STEP = PLAYED_HZ // 200
_QUIET = 0.012
"""Of the peak; what is quieter counts as silence (-38 dB, below the soft onset of an /f/)."""
_QUIETEST_PEAK = 64
_VOWEL_SHARE = 2.0
"""A vowel's length against a consonant's where an engine times both as one sound."""

TimedWord = tuple[SpokenWord, float, float]


def edges(pcm: Pcm) -> tuple[int, int]:
    """Start and end of what is not silence, in samples of int16 at PLAYED_HZ; (0, 0) for silence alone."""
    steps = -(-len(pcm) // _STEP)
    padded = np.zeros(steps * _STEP, dtype=np.int32)
    padded[: len(pcm)] = np.abs(pcm.astype(np.int32))
    loudness = padded.reshape(steps, _STEP).max(axis=1, initial=0)
    peak = loudness.max(initial=0)
    if peak < _QUIETEST_PEAK:
        return 0, 0
    loud = np.flatnonzero(loudness > peak * _QUIET)
    return int(loud[0]) * _STEP, min(len(pcm), int(loud[-1] + 1) * _STEP)


def speech(
    pcm: Pcm,
    phones: Iterable[Phone] = (),
    words: Sequence[TimedWord] = (),
    *,
    trim_start: bool = True,
    trim_end: bool = True,
) -> Speech | None:
    """Trim the silence at the ends, shift the times, and fill gaps between phones with silence.

    Returns None for silence alone. Without `phones` the result has none.
    """
    first, last = edges(pcm)
    if last == 0:
        return None
    start = max(0, first - round(_KEPT_START_S * PLAYED_HZ)) if trim_start else 0
    end = min(len(pcm), last + round(_KEPT_END_S * PLAYED_HZ)) if trim_end else len(pcm)
    cut = np.ascontiguousarray(pcm[start:end])
    shift, duration = start / PLAYED_HZ, (end - start) / PLAYED_HZ
    moved = [Phone(p.ipa, p.start_s - shift, p.end_s - shift, p.stress) for p in phones]
    return Speech(
        pcm=cut,
        phones=_covering(moved, duration) if moved else (),
        words=written_words([(word, a - shift, b - shift) for word, a, b in words], duration),
    )


def split_sounds(symbol: str, start_s: float, end_s: float, stress: int | None = None) -> list[Phone]:
    """One timed symbol of an engine as plain phones, sharing its time; `stress` overrides its own marks."""
    parts = sounds(symbol)
    shares = [_VOWEL_SHARE if is_vowel(ipa) else 1.0 for ipa, _ in parts]
    total, at, phones = sum(shares), start_s, []
    for (ipa, mark), share in zip(parts, shares, strict=True):
        until = at + (end_s - start_s) * share / total
        phones.append(Phone(ipa, at, until, mark if stress is None else stress if is_vowel(ipa) else 0))
        at = until
    return phones


def words_from_onsets(
    spoken: SpokenText, onsets: dict[int, float], end_s: float, phones: Sequence[Phone] = ()
) -> list[TimedWord]:
    """Times of all spoken words from the onsets (seconds by index of word) that the engine gives.

    Words without an onset share the time up to the next one by their letters (an engine joins "of the"). A
    word ends where the next begins, or at the silence before it.
    """
    starts = [onsets.get(index) for index in range(len(spoken.words))]
    if starts and starts[0] is None:
        first = next((p.start_s for p in phones if p.ipa), 0.0)
        starts[0] = min([first, *(onset for onset in starts if onset is not None)])
    known = [index for index, start in enumerate(starts) if start is not None]
    times: list[float] = []
    for index, following in zip(known, [*known[1:], len(starts)], strict=True):
        begin = starts[index] or 0.0
        until = end_s if following == len(starts) else starts[following] or 0.0
        until = _before_silence(phones, begin, until)
        lengths = [word.end - word.start for word in spoken.words[index:following]]
        times += [begin + (until - begin) * sum(lengths[:n]) / sum(lengths) for n in range(len(lengths))]
    ends = [_before_silence(phones, a, b) for a, b in zip(times, [*times[1:], end_s], strict=True)]
    return list(zip(spoken.words, times, ends, strict=True))


def words_by_length(spoken: SpokenText, start_s: float, end_s: float) -> list[TimedWord]:
    """An estimate for engines without times: the words share the time by their letters."""
    return words_from_onsets(spoken, {0: start_s}, end_s) if spoken.words else []


def _before_silence(phones: Sequence[Phone], begin: float, until: float) -> float:
    """Where the silence begins that reaches up to `until`, after `begin`; `until` without one."""
    for phone in reversed(phones):
        if not phone.ipa and begin < phone.start_s < until and phone.end_s >= until - 1e-3:
            until = phone.start_s
        elif phone.ipa and phone.start_s < until:
            break
    return until


def _covering(phones: list[Phone], duration: float) -> tuple[Phone, ...]:
    """`phones` clipped to the sound and in order, with one silence in each gap."""
    filled: list[Phone] = []

    def add(ipa: str, start: float, end: float, stress: int) -> None:
        if end - start <= 1e-9:
            return
        if filled and not ipa and not filled[-1].ipa:
            filled[-1] = Phone("", filled[-1].start_s, end)
        else:
            filled.append(Phone(ipa, start, end, stress))

    at = 0.0
    for phone in phones:
        start, end = max(at, min(phone.start_s, duration)), min(phone.end_s, duration)
        add("", at, start, 0)
        at = max(at, start)
        add(phone.ipa, at, end, phone.stress)
        at = max(at, end)
    add("", at, duration, 0)
    return tuple(filled)


def written_words(words: list[TimedWord], duration: float) -> tuple[Word, ...]:
    """The written words that the spoken ones come from, in order and within `duration` seconds."""
    written: list[Word] = []
    at = 0.0
    for (start, end), group in groupby(words, key=lambda timed: (timed[0].source_start, timed[0].source_end)):
        times = [(begin, until) for _, begin, until in group]
        begin = min(max(times[0][0], at), duration)
        at = min(max(times[-1][1], begin), duration)
        written.append(Word(start, end, begin, at))
    return tuple(written)
