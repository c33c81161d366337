"""A trained replica's own mouth network: it moves the mouth where speech has no phone times, and only there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvi import engines as engines_module
from cvi.audio.block import PLAYED_HZ
from cvi.engines import build_engine_set, conversation_settings, resolve
from cvi.errors import UsageError
from cvi.face.base import Controls
from cvi.face.sound_mouth import MOUTH_NETWORK, SHAPES, MouthNetwork, load_mouth_network, shipped_network
from cvi.media.frames import Frame
from cvi.persona.schema import Persona
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, FakeTurnModel, FakeVad, Vocabulary
from cvi.testing.script import Script, ScriptOutcome
from cvi.tts.base import Speech


def network(jaw: float) -> MouthNetwork:
    """Reads every sound as a jaw that far open, and nothing else."""
    bias = np.full(len(SHAPES), -30.0, np.float32)
    bias[SHAPES.index("jaw")] = np.log(jaw / (1 - jaw))
    return replace(shipped_network(), out=np.zeros_like(shipped_network().out), out_bias=bias)


class WordlessTts(FakeTts):
    """A voice without phone times."""

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        async for speech in super().speak(text):
            yield replace(speech, phones=())


def widest(outcome: ScriptOutcome) -> float:
    """How far the jaw opens at most, 0..1, as it is seen."""
    return max((int(unit.frame[:4].max()) - 16) / 219 for unit in outcome.units)


def played(own: MouthNetwork | None, tts: FakeTts) -> ScriptOutcome:
    script = Script()
    script.user_says(0.5, "what is your name")
    return script.play(FakeLlm(["My name is June and I live here."]), tts=tts, mouth_reader=own)


@pytest.mark.parametrize("jaw", [0.3, 0.8])
def test_a_reply_without_phones_moves_the_mouth_by_the_replicas_own_network(jaw: float) -> None:
    assert widest(played(network(jaw), WordlessTts())) == pytest.approx(jaw, abs=0.02)
    assert widest(played(None, WordlessTts())) == widest(played(shipped_network(), WordlessTts()))


def test_it_reads_sound_that_an_application_gives_too() -> None:
    script = Script()
    tone = (8000 * np.sin(np.arange(2 * PLAYED_HZ) * 0.08)).astype(np.int16)
    script.app_does(0.5, lambda c: c.play(tone, PLAYED_HZ, "a", done=True))
    assert widest(script.play(mouth_reader=network(0.6))) == pytest.approx(0.6, abs=0.02)


def test_it_is_not_used_where_phones_are_known() -> None:
    with_network, without = played(network(0.99), FakeTts()), played(None, FakeTts())
    frames = zip(with_network.units, without.units, strict=True)
    assert all(np.array_equal(one.frame, other.frame) for one, other in frames)


class GreyFace:
    name = "grey"
    width, height = 64, 64

    def render(self, controls: Controls) -> Frame:
        return np.full((96, 64), 128, np.uint8)

    def close(self) -> None:
        pass


def test_the_engine_set_takes_the_network_from_the_replicas_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {
        "vad": FakeVad(), "stt": FakeStt(Vocabulary()), "llm": FakeLlm(), "tts": FakeTts(), "turns": FakeTurnModel(0.9),
        "face": GreyFace(),
    }  # fmt: skip
    monkeypatch.setattr(engines_module, "build", lambda layer, name, settings: made[layer])
    persona = Persona(persona_name="June", system_prompt="You are June.")
    chosen = resolve(persona, replica="june", profile="embedded")
    chosen = replace(chosen, replica=replace(chosen.replica, folder=tmp_path))

    def reader_of(with_face: bool = True) -> MouthNetwork | None:
        async def built() -> MouthNetwork | None:
            engines = await build_engine_set(chosen, conversation_settings(chosen, "x"), with_face=with_face)
            await engines.close()
            return engines.layers.mouth_reader

        return asyncio.run(built())

    assert reader_of() is None
    own = network(0.5)
    np.savez(tmp_path / MOUTH_NETWORK, **{name: getattr(own, name) for name in MouthNetwork.__slots__})
    found = reader_of()
    assert found is not None and np.array_equal(found.out_bias, own.out_bias) and load_mouth_network(tmp_path) is not None
    (tmp_path / MOUTH_NETWORK).write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        reader_of()
    assert reader_of(with_face=False) is None, "nobody is seen"
