"""The encoder model fitted to a person, and its cross-validation."""

from __future__ import annotations

import numpy as np
import pytest
from puppet import FPS

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.face.base import Controls
from cvi.face.sound_mouth import SHAPES
from cvi.face.speech_mouth import LAYERS, RATE_HZ, WIDTH, SpeechMap, in_context
from cvi.training.audio import audio_to_mouth
from cvi.training.audio.audio_to_mouth import FITTED, FOLDS, fit_encoder_model

SECONDS = 40
COUNT = round(SECONDS * FPS)
SOUND: Pcm = np.zeros(SECONDS * PLAYED_HZ, np.int16)


def told(times_s: np.ndarray) -> np.ndarray:
    """What the mouth does, (n, FITTED): slow and fast movements that never repeat."""
    jaw = 0.4 + 0.2 * np.sin(7 * times_s) + 0.2 * np.sin(2.3 * times_s + 0.02 * times_s**2)
    return np.stack([jaw, 0.5 + 0.3 * np.cos(5 * times_s), 0.3 + 0.2 * np.sin(3.1 * times_s)], 1)


class Encoder:
    """Features of which some follow the mouth, under noise, and most tell nothing."""

    def __init__(self, late_s: float = 0.0, noise: float = 0.6) -> None:
        rng = np.random.default_rng(4)
        times = (np.arange(SECONDS * RATE_HZ) + 0.5) / RATE_HZ
        mouths = told(times - late_s)
        self._made = rng.normal(0, 1, (len(times), len(LAYERS) * WIDTH)).astype(np.float32)
        directions = rng.normal(0, 1, (3, 40)) / 3
        self._made[:, 100:140] = mouths @ directions * 6 + noise * self._made[:, 100:140]

    def features(self, pcm: Pcm, first: int = 0) -> np.ndarray:
        return self._made[first:]


@pytest.fixture(autouse=True)
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipped map that hears nothing in these features."""
    nothing = SpeechMap(
        np.zeros((7 * len(LAYERS) * WIDTH, len(SHAPES)), np.float32), np.full(6, 0.1, np.float32)
    )
    monkeypatch.setattr(audio_to_mouth, "shipped_map", lambda: nothing)


def foretold(mapping: SpeechMap, encoder: Encoder, frames: np.ndarray) -> np.ndarray:
    return mapping(in_context(encoder.features(SOUND), (frames + 0.5) / FPS))


def test_it_predicts_held_out_lips_and_moves_as_much() -> None:
    encoder, times = Encoder(), (np.arange(COUNT) + 0.5) / FPS
    shown = told(times).astype(np.float32)
    used = np.arange(COUNT) < 0.8 * COUNT
    model = fit_encoder_model(encoder, SOUND, shown, used, FPS)  # type: ignore[arg-type]
    assert model is not None and model.lag_frames == 0 and model.agreement > 0.8 > model.before
    later = np.flatnonzero(~used)
    heard = foretold(model.mapping, encoder, later)
    for column, name in enumerate(FITTED):
        mine, truth = heard[:, SHAPES.index(name)], shown[later, column]
        assert np.corrcoef(mine, truth)[0, 1] > 0.75, name
        assert 0.75 < mine.std() / truth.std() < 1.3, name
    # What footage does not show stays as shipped.
    kept = [SHAPES.index(name) for name in SHAPES if name not in FITTED]
    assert np.allclose(heard[:, kept], 0.1)


def test_a_picture_behind_its_sound_is_found_as_a_lag() -> None:
    encoder, times = Encoder(), (np.arange(COUNT) + 0.5) / FPS
    late = told(times - 2 / FPS).astype(np.float32)
    model = fit_encoder_model(encoder, SOUND, late, np.ones(COUNT, np.bool_), FPS)  # type: ignore[arg-type]
    assert model is not None and model.lag_frames == 2
    # The map speaks in time.
    frames = np.arange(50, COUNT - 50)
    assert (
        np.corrcoef(foretold(model.mapping, encoder, frames)[:, 0], told((frames + 0.5) / FPS)[:, 0])[0, 1]
        > 0.9
    )


def test_held_out_controls_come_from_models_fitted_without_the_frame() -> None:
    # Features that tell nothing: whoever knew the answers would seem to hear them.
    encoder, times = Encoder(noise=0.0), (np.arange(COUNT) + 0.5) / FPS
    encoder._made = np.random.default_rng(9).normal(0, 1, encoder._made.shape).astype(np.float32)
    shown = told(times).astype(np.float32)
    model = fit_encoder_model(encoder, SOUND, shown, np.ones(COUNT, np.bool_), FPS)  # type: ignore[arg-type]
    assert model is not None and model.agreement < 0.3

    def by(mapping: SpeechMap) -> list[Controls]:
        return [Controls(jaw=float(row[0])) for row in foretold(mapping, encoder, np.arange(COUNT))]

    knowing = np.array([c.jaw for c in by(model.mapping)])
    held_out = np.array([c.jaw for c in model.held_out(by)])
    assert np.corrcoef(knowing, shown[:, 0])[0, 1] > 0.6
    assert np.corrcoef(held_out, shown[:, 0])[0, 1] < 0.3
    assert sorted(set(model.fold.tolist())) == list(range(FOLDS))


def test_the_jaw_of_a_map_is_scaled() -> None:
    encoder = Encoder()
    weights = np.zeros((7 * len(LAYERS) * WIDTH, len(SHAPES)), np.float32)
    weights[100, 0] = 0.01
    plain = SpeechMap(weights, np.full(6, 0.4, np.float32))
    frames = np.arange(10, 30)
    more = foretold(plain.with_jaw(1.5, -0.1), encoder, frames)
    assert np.allclose(more[:, 0], 1.5 * foretold(plain, encoder, frames)[:, 0] - 0.1, atol=1e-5)
    assert np.allclose(more[:, 1:], 0.4)


def test_too_little_speech_leaves_the_shipped_map() -> None:
    used = np.zeros(COUNT, np.bool_)
    used[:150] = True
    shown = told(np.arange(COUNT) / FPS).astype(np.float32)
    assert fit_encoder_model(Encoder(), SOUND, shown, used, FPS) is None  # type: ignore[arg-type]
