"""What every voice, and everything that clones voices, must do. An AssertionError says what is wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.tts.base import Speech, TtsEngine
from cvi.tts.cloning import VoiceCloner
from cvi.tts.speech_timeline import LONGEST_EDGE_S, edges

_UNSPEAKABLE = ("", "   ", "...", "**", "😀 !", "\n\n")
_HUM_S = 6.0
_SLACK_S = 0.006
"""Edges of silence are found in steps of 5 ms."""


async def check_tts(
    engine: TtsEngine,
    text: str = "Hello there, Dr. Lee: it costs $3.50, or 20% more at 3:30 PM. Isn't it state-of-the-art?",
) -> list[Speech]:
    """Put one engine through the contract of `cvi.tts.base`; returns what it said for `text`.

    The engine is left open.
    """
    await engine.warm()
    for nothing in _UNSPEAKABLE:
        assert not await _said(engine, nothing), f"{nothing!r} is not speakable, yet something was said"
    pieces = await _said(engine, text)
    _check_pieces(pieces, text)
    await _check_abort(engine, text)
    await _check_concurrent(engine, text, sum(piece.duration_s for piece in pieces))
    return pieces


async def _said(engine: TtsEngine, text: str) -> list[Speech]:
    return [piece async for piece in engine.speak(text)]


def _check_pieces(pieces: list[Speech], text: str) -> None:
    assert pieces, "nothing was said"
    for piece in pieces:
        _check_sound(piece)
        _check_phones(piece)
        _check_words(piece)
    whole = np.concatenate([piece.pcm for piece in pieces])
    first, last = edges(whole)
    assert last > first, "the sound is silence"
    limit = LONGEST_EDGE_S + _SLACK_S
    assert first / PLAYED_HZ <= limit, f"{first / PLAYED_HZ:.3f} s of silence before the speech"
    after = (len(whole) - last) / PLAYED_HZ
    assert after <= limit, f"{after:.3f} s of silence after the speech"
    with_phones = {bool(piece.phones) for piece in pieces}
    assert len(with_phones) == 1, "some pieces have phone times and some have none"

    words = [word for piece in pieces for word in piece.words]
    for one, two in pairwise(words):
        assert one.text_end <= two.text_start, f"words overlap or go back in the text: {one}, {two}"
    for word in words:
        assert 0 <= word.text_start < word.text_end <= len(text), f"{word} lies outside the text"
        assert text[word.text_start : word.text_end].strip(), f"{word} is empty space"
    covered = "".join(text[word.text_start : word.text_end] for word in words)
    missed = [word for word in re.findall(r"[^\W_]+", text) if word not in covered]
    assert not missed, f"heard, but not among the words: {missed}"


def _check_sound(piece: Speech) -> None:
    assert piece.pcm.dtype == np.int16, f"sound is {piece.pcm.dtype}, not int16"
    assert piece.pcm.ndim == 1, f"sound has shape {piece.pcm.shape}, not (n,)"
    assert len(piece.pcm), "a piece without sound"


def _check_phones(piece: Speech) -> None:
    at = 0.0
    for phone in piece.phones:
        assert abs(phone.start_s - at) < 1e-6, f"a gap or an overlap before {phone} (the last ended at {at})"
        assert phone.end_s > phone.start_s, f"{phone} has no length"
        at = phone.end_s
    if piece.phones:
        assert abs(at - piece.duration_s) < 1e-6, f"phones end at {at}, the sound at {piece.duration_s}"
        assert any(phone.ipa for phone in piece.phones), "all phones are silence"


def _check_words(piece: Speech) -> None:
    at = 0.0
    for word in piece.words:
        assert word.start_s >= at - 1e-6, f"{word} begins before the last ended ({at})"
        assert word.start_s <= word.end_s <= piece.duration_s + 1e-6, f"{word} is not within its piece"
        at = word.end_s


async def _check_abort(engine: TtsEngine, text: str) -> None:
    """Closed before, at and after its first piece, a voice speaks again at once."""
    aborted = cast(AsyncGenerator[Speech, None], engine.speak(text))
    await aborted.aclose()
    aborted = cast(AsyncGenerator[Speech, None], engine.speak(text))
    async for _ in aborted:
        break
    await aborted.aclose()

    task = asyncio.ensure_future(_said(engine, text))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.done()
    assert await _said(engine, "Yes, again."), "nothing was said after an abort"


async def _check_concurrent(engine: TtsEngine, text: str, duration_s: float) -> None:
    """Two callers at once each get their own, whole and unmixed."""
    long, short = await asyncio.gather(_said(engine, text), _said(engine, "One more word."))
    _check_pieces(long, text)
    _check_pieces(short, "One more word.")
    took = sum(piece.duration_s for piece in long)
    assert abs(took - duration_s) < 0.25 * duration_s, (
        f"{took:.2f} s beside another call, {duration_s:.2f} s alone"
    )


async def check_cloner(cloner: VoiceCloner, speaker: Callable[[Path], TtsEngine], folder: Path) -> None:
    """Raise `AssertionError` unless `cloner` keeps the Protocol's promises, and the engine of its name speaks
    with what it makes.

    `speaker` builds that engine with a voice's file; files are written to `folder`. The cloner is left open.
    """
    low, high = _hummed(110.0), _hummed(220.0)
    voice = cloner.clone(low)
    assert voice, "the voice is empty"
    assert cloner.clone(low.copy()) == voice, "the same sound gave another voice"
    assert cloner.clone(high) != voice, "another sound gave the same voice"
    # Safetensors: eight bytes of length, then JSON. Anything that could be executed is none.
    length = int.from_bytes(voice[:8], "little")
    assert voice[8:9] == b"{" and 0 < length < len(voice), "the voice is no safetensors file"
    path = folder / "voice.safetensors"
    path.write_bytes(voice)
    engine = speaker(path)
    try:
        await check_tts(engine)
    finally:
        engine.close()


def _hummed(pitch_hz: float) -> Pcm:
    """Six seconds of a buzz with syllables in it."""
    t = np.arange(round(_HUM_S * PLAYED_HZ)) / PLAYED_HZ
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 12))
    sound: Pcm = (6000 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 3.0 * t))).astype(np.int16)
    return sound
