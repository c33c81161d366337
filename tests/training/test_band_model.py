"""The band model fitted to a person, and its use by the driver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from puppet import FPS, Puppet, speaking

from cvi.errors import UsageError
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import MOUTH_NETWORK, SHAPES, load_mouth_network, shipped_network
from cvi.training.audio.audio_to_mouth import FITTED, band_model_bytes, fit_band_model
from cvi.training.audio.speech import driver_controls, unscripted_segments


def shown(puppet: Puppet) -> np.ndarray:
    """What the puppet's mouth does, in the driver's terms: it never spreads nor purses its lips."""
    jaw = np.clip(puppet.opening / 0.16, 0, 1)
    return np.stack([jaw, np.zeros(len(jaw)), np.zeros(len(jaw))], 1).astype(np.float32)


def test_a_fitted_model_predicts_its_person_better_than_the_shipped_one(tmp_path: Path) -> None:
    puppet = Puppet.make(24.0)
    jaw = shown(puppet)
    used = (speaking(np.arange(len(puppet)) / FPS) > 0) & (np.arange(len(puppet)) < 450)
    model = fit_band_model(puppet.sound(), jaw, used, FPS)
    assert model is not None and model.agreement > model.before and model.agreement > 0.8
    assert abs(model.lag_frames) <= 1
    later = np.arange(475, len(puppet))
    heard = {}
    for name, network in (("own", model.network), ("shipped", None)):
        controls = driver_controls(unscripted_segments(puppet.sound()), len(puppet), FPS, network)
        values = np.array([controls[index].jaw for index in later])
        heard[name] = float(np.corrcoef(values, jaw[later, 0])[0, 1])
    assert heard["own"] > max(heard["shipped"], 0.75)
    # What the footage does not show stays as it was.
    kept = [SHAPES.index(name) for name in SHAPES if name not in FITTED]
    assert np.array_equal(model.network.out[:, kept], shipped_network().out[:, kept])
    (tmp_path / MOUTH_NETWORK).write_bytes(band_model_bytes(model))
    again = load_mouth_network(tmp_path)
    assert again is not None and np.array_equal(again.out, model.network.out)


def test_a_late_picture_is_found_as_a_lag() -> None:
    puppet = Puppet.make(24.0)
    used = np.ones(len(puppet), np.bool_)
    model = fit_band_model(puppet.sound(), np.roll(shown(puppet), 3, axis=0), used, FPS)
    assert model is not None and model.lag_frames in (2, 3)


def test_footage_without_information_gives_no_model() -> None:
    puppet = Puppet.make(24.0)
    used = np.zeros(len(puppet), np.bool_)
    assert fit_band_model(puppet.sound(), shown(puppet), used, FPS) is None
    used[:150] = True
    assert fit_band_model(puppet.sound(), shown(puppet), used, FPS) is None


def test_a_missing_model_is_none_and_a_damaged_one_is_reported(tmp_path: Path) -> None:
    assert load_mouth_network(tmp_path) is None
    (tmp_path / MOUTH_NETWORK).write_bytes(b"nothing")
    with pytest.raises(UsageError, match="cannot be read"):
        load_mouth_network(tmp_path)


def test_a_driver_without_a_model_uses_the_shipped_one() -> None:
    puppet = Puppet.make(2.0)
    deaf = replace(shipped_network(), out=0 * shipped_network().out, out_bias=shipped_network().out_bias - 30)
    drivers = [MouthDriver(), MouthDriver(shipped_network()), MouthDriver(deaf)]
    for driver in drivers:
        driver.append((), puppet.sound(), 0.0)
    times = np.arange(0.1, 1.5, 0.1)
    mouths = [[driver.mouth_at(float(t)) for t in times] for driver in drivers]
    assert mouths[0] == mouths[1] != mouths[2]
    assert max(mouth.jaw for mouth in mouths[2]) < 1e-6 < max(mouth.jaw for mouth in mouths[0])
