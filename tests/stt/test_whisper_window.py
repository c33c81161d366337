"""Whisper on a short window: what is doubted, what is taken for silence, and real weights where they are
installed."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest
from flite_voice import say

from cvi.models.installed import find_installed
from cvi.stt.whisper_window import DecodedWindow, WindowDecoder, _said_once, _without_loop


def window(text: str, logprob: float = -0.2, no_speech: float = 0.0, at_limit: bool = False) -> DecodedWindow:
    return DecodedWindow(text, logprob, no_speech, at_limit)


@pytest.mark.parametrize(
    "text",
    [
        "And so, my fellow Americans, ask not what your country can do for you, ask what you can do for your country.",
        "No, no, no.",
        "It is what it is.",
        "",
    ],
)
def test_speech_is_not_doubted(text: str) -> None:
    assert not window(text).doubtful
    assert _without_loop(text) == text


@pytest.mark.parametrize(
    "found",
    [
        window("you you you you you"),
        window("thank you. thank you. thank you. thank you."),
        window("to be rather cold-hearted is to be ill, to be rather cold-hearted is to be"),
        window("a quite ordinary text", logprob=-1.3),
        window("a quite ordinary text", at_limit=True),
        window("lalalalalalalalalalalalalalalalalalalalalalalalalalalalalalalalalala"),
    ],
)
def test_loops_long_texts_and_guesses_are_doubted(found: DecodedWindow) -> None:
    assert found.doubtful


def test_a_loop_is_said_once() -> None:
    assert _without_loop("so I said you know you know you know you know you know") == "so I said you know"


@pytest.mark.parametrize(
    ("text", "once"),
    [
        ("What was my first question? What was my first question?", "What was my first question?"),
        ("Stop which planet is it? Stop which planet is it? Stop which", "Stop which planet is it?"),
        ("No, no, no, no.", "No, no, no, no."),
        ("I said that I would go and I said that I would stay", "I said that I would go and I said that I would stay"),
    ],
)
def test_a_sentence_that_is_only_copied_is_said_once(text: str, once: str) -> None:
    assert _said_once(text) == once


def test_silence_needs_both_signs() -> None:
    assert window("you", logprob=-1.7, no_speech=0.9).silent
    assert not window("you", logprob=-0.3, no_speech=0.9).silent
    assert not window("you", logprob=-1.7, no_speech=0.1).silent


@pytest.fixture(scope="module")
def decoder() -> WindowDecoder:
    """Whisper tiny.en as `cvi models pull whisper-tiny-en` installs it."""
    with pytest.MonkeyPatch.context() as patch:
        if models := os.environ.get("CVI_TEST_MODELS"):
            patch.setenv("CVI_HOME", models)
        card = find_installed("whisper-tiny-en")
        path = card and card.path
    if path is None:
        pytest.skip("whisper-tiny-en is not installed: cvi models pull whisper-tiny-en")
    from faster_whisper import WhisperModel

    return WindowDecoder(WhisperModel(str(path), device="cpu", compute_type="int8", cpu_threads=1), "en")


def test_real_weights_hear_words(decoder: WindowDecoder, tmp_path) -> None:
    text = decoder.decode(say(tmp_path, "could you repeat that please"))
    assert re.findall(r"\w+", text.lower()) == ["could", "you", "repeat", "that", "please"]


@pytest.mark.parametrize("kind", ["silence", "white noise", "hum", "clicks"])
def test_real_weights_make_nothing_up(decoder: WindowDecoder, kind: str) -> None:
    rng = np.random.default_rng(1)
    count = 48_000
    sound = {
        "silence": rng.normal(0, 3, count),
        "white noise": rng.normal(0, 800, count),
        "hum": 2000 * np.sin(2 * np.pi * 100 * np.arange(count) / 16_000),
        "clicks": np.where(rng.random(count) < 0.0005, 12_000.0, 0.0),
    }[kind]
    assert decoder.decode(sound.astype(np.int16)) == ""
