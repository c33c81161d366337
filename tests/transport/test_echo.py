"""The loudspeaker's sound taken out of the microphone's, without a device."""

from __future__ import annotations

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, HOP_SAMPLES, Pcm
from cvi.audio.echo import EchoCanceller, echo_delay_s
from cvi.audio.level import level_db
from cvi.audio.played_sound import PlayedSound
from cvi.testing.echo_room import EchoPath
from cvi.transport.echo_control import EchoControl, judge_echo, sweep

pytest.importorskip("pywebrtc_audio")


def speechlike(seconds: float, seed: int) -> Pcm:
    """Harmonics of a wandering pitch in syllables, with pauses."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * HEARD_HZ)) / HEARD_HZ
    pitch = 120 + 30 * seed + 25 * np.sin(2 * np.pi * 0.7 * t + rng.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / HEARD_HZ
    voice = sum(np.sin(phase * k + rng.uniform(0, 6)) / k**0.8 for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * (2.3 + 0.3 * seed) * t), 0, 1) * (np.sin(2 * np.pi * 0.25 * t) > -0.8)
    breath = rng.normal(0, 0.15, len(t))
    return (2500 * (voice + breath) * syllables).astype(np.int16)


def echoed(far: Pcm, path: EchoPath) -> np.ndarray:
    delayed = np.concatenate([np.zeros(round(path.delay_s * HEARD_HZ)), far])[: len(far)]
    return np.convolve(delayed, path.response())[: len(far)]


def cleaned(near: Pcm, far: Pcm) -> Pcm:
    canceller = EchoCanceller()
    starts = range(0, len(near) - HOP_SAMPLES + 1, HOP_SAMPLES)
    return np.concatenate([canceller.clean(near[i : i + HOP_SAMPLES], far[i : i + HOP_SAMPLES]) for i in starts])


@pytest.mark.parametrize("delay_ms", [40, 120, 250])
def test_an_echo_is_25_db_quieter_after_two_seconds(delay_ms: int) -> None:
    far = speechlike(8.0, 0)
    noise = np.random.default_rng(1).normal(0, 6, len(far))
    near = (echoed(far, EchoPath(delay_s=delay_ms / 1000)) + noise).astype(np.int16)
    left = cleaned(near, far)
    assert level_db(near[2 * HEARD_HZ :]) - level_db(left[2 * HEARD_HZ :]) >= 25.0


def test_a_voice_over_the_loudspeaker_is_kept() -> None:
    far = speechlike(8.0, 0)
    voice = np.zeros(len(far))
    voice[4 * HEARD_HZ : 7 * HEARD_HZ] = speechlike(3.0, 2) * 0.6
    near = (echoed(far, EchoPath()) + voice).astype(np.int16)
    left = cleaned(near, far)
    during = slice(round(4.3 * HEARD_HZ), 7 * HEARD_HZ)
    assert level_db(left[during]) > level_db(voice[during].astype(np.int16)) - 12
    assert level_db(left[2 * HEARD_HZ : 4 * HEARD_HZ]) < level_db(left[during]) - 20


def test_without_a_loudspeaker_nothing_is_silenced() -> None:
    voice = speechlike(2.0, 1)
    left = cleaned(voice, np.zeros_like(voice))
    assert abs(level_db(left) - level_db(voice)) < 3.0


def test_the_delay_is_found() -> None:
    far = speechlike(3.0, 0)
    delay_s, sure = echo_delay_s(echoed(far, EchoPath(delay_s=0.18)).astype(np.int16), far)
    assert delay_s == pytest.approx(0.18, abs=0.005) and sure > 0.2


def test_a_block_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="160 samples"):
        EchoCanceller().clean(np.zeros(100, np.int16))


def test_what_was_played_is_read_by_time_although_callbacks_come_in_bursts() -> None:
    played = PlayedSound(HEARD_HZ)
    rng = np.random.default_rng(2)
    sound = speechlike(2.0, 0)
    for index in range(0, len(sound), 480):
        played.append(sound[index : index + 480], 10.0 + index / HEARD_HZ + rng.uniform(-0.008, 0.008))
    heard = played.read(11.0, HEARD_HZ // 2)
    lags = [np.dot(heard.astype(float), sound[HEARD_HZ + k : HEARD_HZ + k + len(heard)].astype(float)) for k in range(-160, 161)]
    assert abs(int(np.argmax(lags)) - 160) < 130, "within 8 ms"
    assert np.array_equal(played.read(11.0, 160), played.read(11.0, 320)[:160])
    assert not played.read(5.0, 160).any() and not played.read(20.0, 160).any()


def test_the_device_may_pause() -> None:
    played = PlayedSound(HEARD_HZ)
    played.append(np.full(1600, 7, np.int16), 1.0)
    played.append(np.full(1600, 9, np.int16), 1.4)
    assert set(played.read(1.12, 1600)) == {0}
    assert set(played.read(1.42, 800)) == {9} and set(played.read(1.02, 800)) == {7}


def verdict(path: EchoPath, audible: bool = True) -> str:
    from cvi.audio.block import PLAYED_HZ
    from cvi.audio.resample import resample

    lead = np.zeros(round(0.4 * HEARD_HZ), np.int16)
    far = np.concatenate([lead, resample(sweep(), PLAYED_HZ, HEARD_HZ), lead])
    noise = np.random.default_rng(1).normal(0, 10, len(far))
    near = (echoed(far, path) * audible + noise).astype(np.int16)
    played = PlayedSound(HEARD_HZ)
    played.append(far, 0.0)
    control = EchoControl(played, EchoCanceller())
    starts = range(0, len(near) - 159, 160)
    left = np.concatenate([control.clean(near[i : i + 160], i / HEARD_HZ) for i in starts])
    report = judge_echo(near[: len(left)], far[: len(left)], left)
    if audible:
        assert report.delay_s == pytest.approx(path.delay_s, abs=0.01)
    return "safe" if report.safe else "unsafe"


def test_the_sweep_finds_a_room_safe() -> None:
    assert verdict(EchoPath(delay_s=0.1)) == "safe"
    assert verdict(EchoPath(delay_s=0.2), audible=False) == "safe"


def test_an_echo_that_stays_is_unsafe() -> None:
    far = np.concatenate([np.zeros(6400, np.int16), speechlike(2.0, 0)])
    near = echoed(far, EchoPath(echo_db=0.0)).astype(np.int16)
    assert not judge_echo(near, far, near).safe, "nothing was taken off"
