"""Smart Turn: its features, and what it says of whole and half sentences."""

from pathlib import Path

import numpy as np
import pytest

from cvi.audio import mel
from cvi.errors import EngineError, MissingError
from cvi.media.decode import read_audio
from cvi.turns import smart_turn
from cvi.turns.base import TurnModelSettings

MEDIA = Path(__file__).parents[3] / "shared" / "media"
WEIGHTS = MEDIA / "models" / "smart-turn-v3.2-cpu.onnx"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_file(), reason="the turn model's file is not here")
needs_speech = pytest.mark.skipif(not (MEDIA / "speech").is_dir(), reason="the test media are not here")


def tone(hz, seconds, level=0.3):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(16_000 * seconds)) / 16_000)).astype(np.float32)


@pytest.mark.parametrize("hz", [200, 1000, 3000, 6500])
def test_a_tone_lies_in_its_own_band(hz):
    bands = mel.log_mel(tone(hz, 1.0))
    assert bands.shape == (80, 100)
    loudest = int(bands[:, 50].argmax())
    edges = mel._mel_to_hz(np.linspace(0.0, mel._hz_to_mel(8000), 82))
    assert edges[loudest] < hz < edges[loudest + 2]


def test_mel_agrees_with_another_implementation():
    extractor = pytest.importorskip("faster_whisper.feature_extractor")
    sound = tone(300, 8.0) + tone(2500, 8.0, 0.05)
    sound += np.random.default_rng(1).normal(0, 0.01, len(sound)).astype(np.float32)
    theirs = extractor.FeatureExtractor(chunk_length=8)(sound)[:, :800]
    # Ours ends at the last sample, theirs sees silence after it: the last frames differ by that.
    np.testing.assert_allclose(mel.log_mel(sound)[:, :-2], theirs[:, :-2], atol=2e-3)


def test_features_are_of_the_last_eight_seconds_at_unit_loudness():
    quiet = (tone(440, 2.0) * 3000).astype(np.int16)
    longer = np.concatenate([(tone(2000, 20.0) * 3000).astype(np.int16), np.tile(quiet, 4)])
    np.testing.assert_array_equal(smart_turn.features(longer), smart_turn.features(np.tile(quiet, 4)))
    louder = smart_turn.features(quiet * 3)
    np.testing.assert_allclose(smart_turn.features(quiet)[:, 650:790], louder[:, 650:790], atol=0.02)
    assert smart_turn.features(np.zeros(0, np.int16)).shape == (80, 800)


@needs_weights
@needs_speech
async def test_a_sentence_is_over_at_its_end_and_not_in_its_middle():
    engine = smart_turn.build(TurnModelSettings(str(WEIGHTS)))
    sound = read_audio(MEDIA / "speech" / "jfk.flac")
    await engine.warm()
    over = await engine.ended(sound)
    broken_off = await engine.ended(sound[: 8 * 16_000])
    engine.close()
    assert 0.0 <= broken_off < 0.3 < 0.7 < over <= 1.0


def test_missing_weights_and_other_files_are_errors(tmp_path):
    with pytest.raises(MissingError, match="cvi models pull"):
        smart_turn.build(TurnModelSettings())
    with pytest.raises(MissingError, match=r"gone\.onnx"):
        smart_turn.build(TurnModelSettings(str(tmp_path / "gone.onnx")))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(EngineError, match=r"broken\.onnx"):
        smart_turn.build(TurnModelSettings(str(broken)))


def test_another_network_is_refused():
    from cvi.turns import silero

    with pytest.raises(EngineError, match="not Smart Turn"):
        smart_turn.SmartTurn(silero._weights())
