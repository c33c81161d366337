import shutil
import subprocess
import wave

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, AudioBlock, to_int16
from cvi.audio.level import FLOOR_DB, SpeechEdges, level_db


def fed(pcm, start_s=0.0, block=160, **options):
    edges = SpeechEdges(**options)
    for at in range(0, len(pcm), block):
        edges.feed(AudioBlock(pcm[at : at + block], start_s + at / HEARD_HZ))
    return edges


def tone(amplitude, on_s, off_s, total_s, noise=0.0, hz=220.0):
    t = np.arange(round(total_s * HEARD_HZ)) / HEARD_HZ
    samples = np.where((t >= on_s) & (t < off_s), amplitude * np.sin(2 * np.pi * hz * t), 0.0)
    return to_int16(samples + noise * np.random.default_rng(5).standard_normal(len(t)))


def test_level():
    assert level_db(np.zeros(0, np.int16)) == FLOOR_DB == level_db(np.zeros(160, np.int16))
    assert level_db(np.full(160, -32768, np.int16)) == pytest.approx(0.0)
    assert level_db(to_int16(0.1 * np.ones(100))) == pytest.approx(-20.0, abs=0.01)


@pytest.mark.parametrize("block", [16, 160, 333, 4800])
@pytest.mark.parametrize(
    ("amplitude", "noise"), [(0.9, 0), (0.9, 0.03), (0.1, 0.001), (0.1, 0.01), (0.004, 0), (0.004, 0.0003)]
)
def test_end_of_a_tone_is_exact(amplitude, noise, block):
    edges = fed(tone(amplitude, 0.5, 1.537, 2.0, noise), start_s=40.0, block=block)
    assert edges.last_loud_s() == pytest.approx(41.537, abs=0.010)


def test_only_speech_that_ended_before_the_time_counts():
    pcm = tone(0.2, 0.5, 1.0, 2.2, 0.001) + tone(0.2, 1.6, 1.9, 2.2)
    edges = fed(pcm)
    assert edges.last_loud_s() == pytest.approx(1.9, abs=0.010)
    assert edges.last_loud_s(1.4) == pytest.approx(1.0, abs=0.010)
    assert edges.last_loud_s(0.7) == pytest.approx(0.7, abs=0.010)
    assert edges.last_loud_s(0.4) is None
    assert edges.last_loud_s(-1.0) is None


def test_noise_silence_and_clicks_are_not_speech():
    assert SpeechEdges().last_loud_s() is None
    assert fed(np.zeros(HEARD_HZ, np.int16)).last_loud_s() is None
    assert fed(tone(0.0, 0, 0, 3.0, noise=0.05)).last_loud_s() is None
    clicked = tone(0.1, 0.5, 1.0, 2.0, 0.0005)
    clicked[24_000:24_040] += 20_000
    assert fed(clicked).last_loud_s() == pytest.approx(1.0, abs=0.010)


def test_an_offset_and_louder_noise_later_do_not_hide_the_end():
    offset = tone(0.1, 0.5, 1.5, 2.0, 0.001) + np.int16(3000)
    assert fed(offset).last_loud_s() == pytest.approx(1.5, abs=0.015)
    later = np.concatenate([tone(0.3, 0.2, 1.0, 9.0, 0.0005), tone(0.3, 1.0, 2.0, 9.0, 0.02)])
    assert fed(later).last_loud_s() == pytest.approx(11.0, abs=0.015)


def test_the_window_slides():
    edges = fed(tone(0.3, 0.2, 1.0, 20.0, 0.0005), window_s=2.0)
    assert edges.last_loud_s() is None
    edges = fed(tone(0.3, 18.7, 19.1, 20.0, 0.0005), window_s=2.0)
    assert edges.last_loud_s() == pytest.approx(19.1, abs=0.010)


def test_a_gap_in_time_starts_anew():
    edges = fed(tone(0.3, 0.2, 0.8, 1.0, 0.0005))
    edges.feed(AudioBlock(np.zeros(3200, np.int16), 5.0))
    assert edges.last_loud_s() is None


def test_contrast():
    assert SpeechEdges().contrast_db() == 0.0
    assert fed(tone(0.1, 0.5, 1.0, 2.0, 0.01)).contrast_db() == pytest.approx(17.0, abs=1.5)


@pytest.mark.parametrize("gain", [1.0, 0.03])
def test_end_of_spoken_words(tmp_path, gain):
    """flite pads its sentences with digital silence, so the last sample that is not silent is the end."""
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed (apt-get install flite)")
    path = tmp_path / "said.wav"
    command = ["flite", "-voice", "kal16", "-t", "see you at noon tomorrow", "-o", path]
    subprocess.run(command, check=True)
    with wave.open(str(path)) as sound:
        spoken = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float64) / 32768
    peak = np.abs(spoken).max()
    end_s = float(np.flatnonzero(np.abs(spoken) > 0.04 * peak)[-1] + 1) / HEARD_HZ
    noise = np.random.default_rng(2).standard_normal(len(spoken) + 8000) * 0.0005
    noisy = noise * gain
    noisy[: len(spoken)] += spoken * gain
    assert fed(to_int16(noisy)).last_loud_s() == pytest.approx(end_s, abs=0.030)
