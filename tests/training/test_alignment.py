"""Forced alignment of a script with its sound."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.audio.resample import resample
from cvi.engine_registry import build
from cvi.errors import MissingError
from cvi.training.audio.alignment import AlignedSentence, align, sentences
from cvi.training.audio.speech import scripted_segments
from cvi.tts.base import Phone, TtsSettings

SCRIPT = """# a heading is not read
Bob and Mabel bought a big map of the bay. Five fine fiddlers play [smile] very far from here!
We would like to go through the woods, while the weather is warm."""


def test_a_script_is_plain_words() -> None:
    assert sentences("Hello, Bob! It's 12 o’clock (whisper) <b>now</b>.\nNext line") == [
        "hello bob",
        "it's twelve o'clock now",
        "next line",
    ]
    assert sentences(" \n...\n") == []


@pytest.fixture(scope="module")
def read() -> tuple[np.ndarray, list[Phone]]:
    """The script's sentences with pauses between them, at PLAYED_HZ, and the voice's own phone times."""
    try:
        return asyncio.run(recited())
    except MissingError as error:
        pytest.skip(f"the flite voice is not here: {error}")


async def recited() -> tuple[np.ndarray, list[Phone]]:
    voice = build("tts", "flite", TtsSettings())
    parts: list[np.ndarray] = [np.zeros(PLAYED_HZ, np.int16)]
    phones: list[Phone] = []
    try:
        for text in sentences(SCRIPT):
            async for speech in voice.speak(text):
                at_s = sum(map(len, parts)) / PLAYED_HZ
                phones += [Phone(p.ipa, p.start_s + at_s, p.end_s + at_s) for p in speech.phones if p.ipa]
                parts.append(speech.pcm)
            parts.append(np.zeros(round(0.6 * PLAYED_HZ), np.int16))
    finally:
        voice.close()
    return np.concatenate(parts), phones


def lips(found: list[AlignedSentence]) -> list[float]:
    return [
        one.start_s + (phone.start_s + phone.end_s) / 2
        for one in found
        for phone in one.phones
        if phone.ipa in ("p", "b", "m")
    ]


def test_phones_are_aligned_with_the_sound(read: tuple[np.ndarray, list[Phone]]) -> None:
    sound, phones = read
    found = align(resample(sound, PLAYED_HZ, HEARD_HZ), SCRIPT)
    assert [one.text for one in found] == sentences(SCRIPT)
    true = [(p.start_s + p.end_s) / 2 for p in phones if p.ipa in ("p", "b", "m")]
    gaps = [min(abs(a - b) for b in lips(found)) for a in true]
    assert np.median(gaps) < 0.030 and np.mean(np.array(gaps) < 0.060) > 0.9


def test_a_sentence_that_is_not_read_does_not_shift_the_others(
    read: tuple[np.ndarray, list[Phone]],
) -> None:
    sound, _ = read
    script = (
        "Bob and Mabel bought a big map of the bay. The quick grey goose kept on looking for the green ring. "
    )
    script += "We would like to go through the woods while the weather is warm."
    found = align(resample(sound, PLAYED_HZ, HEARD_HZ), script)
    texts = [one.text for one in found]
    assert any(text.startswith("bob and mabel") for text in texts)
    assert any(text.endswith("the weather is warm") for text in texts)


def test_unaligned_sound_is_read_by_the_audio_model(read: tuple[np.ndarray, list[Phone]]) -> None:
    sound, _ = read
    utterances, closures_s = scripted_segments(sound, SCRIPT)
    assert len(closures_s) >= 6 and closures_s == sorted(closures_s)
    assert sum(bool(one.phones) for one in utterances) == 3
    assert [one.start_s for one in utterances] == sorted(one.start_s for one in utterances)
    nothing, none = scripted_segments(sound, "Xyzzyq plughh.")
    assert len(nothing) == 1 and not nothing[0].phones and none == []
