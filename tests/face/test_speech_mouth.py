"""The mouth read through a speech encoder: a map's arithmetic on made-up features, and the real encoder where
its file is here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ, Pcm, to_int16
from cvi.engine_registry import build
from cvi.errors import EngineError, MissingError, UsageError
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import SHAPES, SoundMouth
from cvi.face.speech_mouth import (
    CONTEXT,
    RATE_HZ,
    SPEECH_MAP,
    SpeechEncoder,
    SpeechMap,
    SpeechMouth,
    best_reader,
    in_context,
    load_speech_map,
    map_bytes,
    shipped_map,
)
from cvi.tts.base import Speech, TtsSettings

ENCODER = Path(__file__).parents[3] / "shared" / "media" / "models" / "smart-turn-v3.2-cpu.onnx"


class Ramp:
    """An encoder whose one feature is the time it stands for, counted from the sound's beginning."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def features(self, pcm: Pcm, first: int = 0) -> np.ndarray:
        self.asked.append(first)
        count = len(pcm) * RATE_HZ // PLAYED_HZ
        return ((np.arange(first, count, dtype=np.float32) + 0.5) / RATE_HZ)[:, None]


def middle_alone() -> SpeechMap:
    weights = np.zeros((len(CONTEXT), len(SHAPES)), np.float32)
    weights[CONTEXT.index(0)] = 0.1
    return SpeechMap(weights, np.zeros(len(SHAPES), np.float32))


def test_features_are_interpolated_at_their_times() -> None:
    features = Ramp().features(np.zeros(PLAYED_HZ, np.int16))
    times = np.array([0.3, 0.305, 0.5])
    seen = in_context(features, times)
    assert np.allclose(seen[:, CONTEXT.index(0)], times, atol=1e-6)
    assert np.allclose(seen[:, CONTEXT.index(-2)], times - 2 / RATE_HZ, atol=1e-6)
    # Beyond the ends the last is taken.
    assert np.allclose(in_context(features, np.array([0.0, 1.0]))[:, 0], [0.01, 0.99 - 0.08 + 0.01], atol=0.011)


def test_the_mouth_is_the_maps_output_in_one_piece_or_several() -> None:
    sound = to_int16(0.3 * np.sin(np.arange(3 * PLAYED_HZ) * 0.06))
    encoder = Ramp()
    whole, parts = (SoundMouth(SpeechMouth(encoder, middle_alone())) for _ in range(2))  # type: ignore[arg-type]
    whole.append(sound, 5.0)
    for at in range(0, len(sound), 9000):
        parts.append(sound[at : at + 9000], 5.0 + at / PLAYED_HZ)
    for t_s in (0.5, 1.003, 2.5):
        assert whole.at(5.0 + t_s)[0] == pytest.approx(0.1 * t_s, abs=2e-3)
        assert parts.at(5.0 + t_s)[0] == pytest.approx(0.1 * t_s, abs=2e-3)
    # What is long known is not computed again.
    assert encoder.asked[-1] > 100


def test_a_replica_has_its_own_map_or_the_shipped_one(tmp_path: Path) -> None:
    assert load_speech_map(tmp_path) is None and best_reader(tmp_path, None) is None
    (tmp_path / SPEECH_MAP).write_bytes(map_bytes(middle_alone()))
    own = load_speech_map(tmp_path)
    assert own is not None and np.allclose(own.weights, middle_alone().weights, atol=1e-4)
    (tmp_path / SPEECH_MAP).write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        load_speech_map(tmp_path)


def test_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is not here"):
        SpeechEncoder(tmp_path / "none.onnx")
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(EngineError, match="cannot be read"):
        SpeechEncoder(tmp_path / "no.onnx")


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    if not ENCODER.exists():
        pytest.skip(f"no test media: {ENCODER}")
    return SpeechEncoder(ENCODER)


@pytest.fixture
async def speech() -> Speech:
    """Spoken by a voice that was held out of the training."""
    try:
        voice = build("tts", "flite", TtsSettings(voice="awb"))
    except (MissingError, UsageError) as error:
        pytest.skip(f"the flite voice awb is not here: {error}")
    try:
        pieces = [piece async for piece in voice.speak("My brother Bob bought a map of Paris, and a big bowl of soup.")]
    finally:
        voice.close()
    return pieces[0]


def test_features_do_not_depend_on_where_windows_lie(encoder: SpeechEncoder, speech: Speech) -> None:
    sound = np.concatenate([speech.pcm] * 4)
    whole = encoder.features(sound)
    later = encoder.features(sound, 200)
    assert whole.shape == (len(sound) * RATE_HZ // PLAYED_HZ, 768) and np.array_equal(later, whole[200:])
    # An encoder's features tell their place in its window too; the mouth must not.
    mouths = [shipped_map()(in_context(features, np.arange(0.5, 8.0, 0.02) + shift)) for features, shift in
              ((whole, 1.4), (encoder.features(sound, 70), 0.0))]
    assert np.corrcoef(mouths[0][:, 0], mouths[1][:, 0])[0, 1] > 0.95


def test_a_held_out_voice_gives_the_mouth_of_its_phones(encoder: SpeechEncoder, speech: Speech) -> None:
    by_phones, by_sound = MouthDriver(), MouthDriver(SpeechMouth(encoder, shipped_map()))
    by_phones.append(speech.phones, speech.pcm, 0.0)
    by_sound.append((), speech.pcm, 0.0)
    times = np.arange(0.0, speech.duration_s, 0.01)
    wanted, heard = ([driver.mouth_at(float(t)).jaw for t in times] for driver in (by_phones, by_sound))
    assert np.corrcoef(wanted, heard)[0, 1] > 0.8
