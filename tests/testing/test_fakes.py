"""The fakes keep their layers' contracts, contracts find what breaks them, and virtual time jumps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from cvi.audio.block import Pcm
from cvi.conversation.events import ReplyFinished, TurnCommitted
from cvi.face.base import Controls
from cvi.llm.base import Message, Sampling
from cvi.media.frames import Frame
from cvi.testing.contracts.face import check_face
from cvi.testing.contracts.llm import check_llm
from cvi.testing.contracts.stt import check_stt
from cvi.testing.contracts.tts import check_tts
from cvi.testing.contracts.vad import check_vad
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, FakeVad, Vocabulary
from cvi.testing.script import Script
from cvi.testing.virtual_time import run_virtual


def test_a_vocabulary_reads_back_what_it_spoke() -> None:
    vocabulary = Vocabulary()
    sound = vocabulary.sound("one two two ... three")
    assert vocabulary.words(sound) == ["one", "two", "two", "three"]
    assert vocabulary.words(vocabulary.noise(0.5)) == []


def test_the_fake_model_and_recognizer_pass_their_contracts() -> None:
    vocabulary = Vocabulary()
    spoken = vocabulary.sound("what is your name")
    assert run_virtual(check_llm(FakeLlm(["It is the water clock."]))).startswith("It is")
    assert run_virtual(check_stt(FakeStt(vocabulary), spoken)) == "what is your name"


def test_a_contract_says_what_is_wrong() -> None:
    class Empty(FakeLlm):
        async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncIterator[str]:
            for piece in ("",):
                yield piece

    class Deaf(FakeStt):
        def open(self):  # type: ignore[no-untyped-def]
            return FakeStt(Vocabulary()).open()

    class Grey:
        name = "grey"
        width, height = 64, 64

        def render(self, controls: Controls) -> Frame:
            return np.full((96, 64), 128, np.uint8)

        def close(self) -> None:
            return

    speech: Pcm = np.random.default_rng(1).normal(0, 4000, 32_000).astype(np.int16)
    with pytest.raises(AssertionError, match="empty piece"):
        run_virtual(check_llm(Empty()))
    with pytest.raises(AssertionError, match="nothing was recognized"):
        run_virtual(check_stt(Deaf(Vocabulary()), speech))
    with pytest.raises(AssertionError, match="not speakable"):
        run_virtual(check_tts(FakeTts()))
    with pytest.raises(AssertionError, match="noise was taken for speech"):
        check_vad(FakeVad(), speech)
    with pytest.raises(AssertionError, match="empty"):
        check_face(Grey())


def test_time_jumps_to_the_next_timer_and_an_endless_wait_is_an_error() -> None:
    async def hours() -> float:
        await asyncio.sleep(7200.0)
        return asyncio.get_running_loop().time()

    assert run_virtual(hours()) == pytest.approx(7200.0)

    async def for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="never happen"):
        run_virtual(for_ever())


def test_a_script_is_a_whole_conversation() -> None:
    script = Script()
    ends_s = script.user_says(0.5, "what is your name")
    outcome = script.play(FakeLlm(["My name is June."]))
    (turn,), (reply,) = outcome.of(TurnCommitted), outcome.of(ReplyFinished)
    assert (turn.text, reply.text) == ("what is your name", "My name is June.")
    assert turn.speech_end_s == pytest.approx(ends_s, abs=0.05)
    assert outcome.sound_between(ends_s, 5.0).any() and ("user", turn.text) in outcome.notes
    assert outcome.reason == "caller_over" and outcome.history[-1].content == reply.text
