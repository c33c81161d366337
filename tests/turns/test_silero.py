"""Voice activity by Silero VAD: speech is told from silence and noise."""

import shutil
import subprocess
import wave

import numpy as np
import pytest

from cvi.errors import EngineError, MissingError
from cvi.testing.contracts.vad import check_vad, probabilities
from cvi.turns import silero
from cvi.turns.base import VAD_HOP_S, VadSettings


@pytest.fixture
def speech(tmp_path):
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed (apt-get install flite)")
    path = tmp_path / "said.wav"
    text = "my order has not arrived and I want to know where it is"
    subprocess.run(["flite", "-t", text, "-o", path], check=True)
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16)


def test_contract(speech):
    check_vad(silero.build(VadSettings()), speech)


def test_speech_in_noise_begins_and_ends_where_it_does(speech):
    noise = np.random.default_rng(3).normal(0, 100, len(speech) + 32_000)
    noise[16_000 : 16_000 + len(speech)] += speech
    found = np.array(probabilities(silero.build(VadSettings()), noise.astype(np.int16))) > 0.5
    heard = np.flatnonzero(found) * VAD_HOP_S
    assert heard[0] == pytest.approx(1.0, abs=0.3)
    assert heard[-1] == pytest.approx(1.0 + len(speech) / 16_000, abs=0.3)


def test_hops_of_another_length_are_refused():
    engine = silero.build(VadSettings())
    with pytest.raises(ValueError, match="512"):
        engine.probability(np.zeros(480, np.int16))


def test_missing_weights_and_other_networks_are_errors(monkeypatch, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a network")
    with pytest.raises(EngineError, match=r"broken\.onnx"):
        silero.SileroVad(broken)
    monkeypatch.setattr(silero, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install"):
        silero.build(VadSettings())
