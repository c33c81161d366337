"""The mouth that is driven by sound alone, against phones of a voice it never heard, and on real speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ, to_int16
from cvi.engine_registry import build
from cvi.errors import MissingError, UsageError
from cvi.face.base import REST
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import BANDS, CONTEXT, NO_SOUND, SoundMouth, band_levels_db, inputs, levels_db
from cvi.media.decode import read_audio
from cvi.tts.base import Speech, TtsSettings

MEDIA = Path(__file__).parents[3] / "shared" / "media" / "audio"
TEXT = (
    "My brother Bob bought a map of Paris. Maybe we may move the boxes up to the big room, "
    "and Pam will bring a lamp, a pump and some soup."
)


@pytest.fixture
async def speech() -> Speech:
    """Spoken by a voice that was held out of the training (scripts/train_sound_mouth.py)."""
    try:
        voice = build("tts", "flite", TtsSettings(voice="awb"))
    except (MissingError, UsageError) as error:
        pytest.skip(f"the flite voice awb is not here: {error}")
    try:
        pieces = [piece async for piece in voice.speak(TEXT)]
    finally:
        voice.close()
    return pieces[0]


def tracks(speech: Speech) -> tuple[MouthDriver, MouthDriver]:
    by_phones, by_sound = MouthDriver(), MouthDriver()
    by_phones.append(speech.phones, speech.pcm, 0.0)
    by_sound.append((), speech.pcm, 0.0)
    return by_phones, by_sound


async def test_the_sound_opens_the_mouth_as_the_phones_do(speech: Speech) -> None:
    by_phones, by_sound = tracks(speech)
    times = np.arange(0.0, speech.duration_s, 0.01)
    wanted, heard = ([driver.mouth_at(float(t)) for t in times] for driver in (by_phones, by_sound))
    jaws = np.corrcoef([m.jaw for m in wanted], [m.jaw for m in heard])[0, 1]
    wides = np.corrcoef([m.wide for m in wanted], [m.wide for m in heard])[0, 1]
    assert jaws > 0.7 and wides > 0.5
    spread = np.std([m.jaw for m in heard]) / np.std([m.jaw for m in wanted])
    assert 0.6 < spread < 1.3


async def test_lips_close_where_they_are_heard_to_close(speech: Speech) -> None:
    _, by_sound = tracks(speech)
    reached, contacts, shut_vowels = 0, 0, 0
    for phone in speech.phones:
        span = np.arange(phone.start_s - 0.04, phone.end_s + 0.04, 0.005)
        if phone.ipa[:1] in ("p", "b", "m"):
            contacts += 1
            reached += any(by_sound.mouth_at(float(t)).jaw < 0.06 for t in span)
        elif phone.ipa[:1] in ("ɑ", "æ"):
            shut_vowels += by_sound.mouth_at((phone.start_s + phone.end_s) / 2).press > 0.5
    assert contacts > 15 and reached >= 0.8 * contacts and shut_vowels == 0


async def test_pieces_give_the_mouth_of_the_whole(speech: Speech) -> None:
    whole, parts = SoundMouth(), SoundMouth()
    whole.append(speech.pcm, 0.0)
    for at in range(0, len(speech.pcm), 7001):
        parts.append(speech.pcm[at : at + 7001], at / PLAYED_HZ)
    times = np.arange(1.0, speech.duration_s, 0.02)
    apart = [np.abs(np.subtract(whole.at(float(t)), parts.at(float(t))))[:4].max() for t in times]
    assert np.median(apart) < 0.03 and np.percentile(apart, 95) < 0.2


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_and_hum_leave_the_mouth_at_rest(level: float) -> None:
    rng = np.random.default_rng(0)
    driver = MouthDriver()
    driver.append((), to_int16(level * rng.normal(size=PLAYED_HZ * 2)), 0.0)
    assert all(driver.mouth_at(t / 25) is REST for t in range(50))


def test_features_have_their_shapes_at_any_length() -> None:
    for length in (0, 1, 599, 600, 840, 5000):
        levels = band_levels_db(np.full(length, 1000, np.int16))
        assert levels.shape == (max(0, (length - 600) // 240 + 1), BANDS)
        assert inputs(levels, -20.0).shape == (len(levels), BANDS * len(CONTEXT))
    mouth = SoundMouth()
    mouth.append(np.zeros(0, np.int16), 0.0)
    mouth.append(np.full(10, 3000, np.int16), 0.0)
    assert mouth.at(0.0) == NO_SOUND


@pytest.mark.parametrize("name", ["musetalk_eng.wav", "sad_RD_Radio31_000.wav", "sad_RD_Radio34_002.wav"])
def test_real_voices_move_the_mouth_and_pauses_rest_it(name: str) -> None:
    if not (MEDIA / name).exists():
        pytest.skip(f"no test media: {MEDIA / name}")
    pcm = read_audio(MEDIA / name, PLAYED_HZ)[: 8 * PLAYED_HZ]
    driver = MouthDriver()
    driver.append((), pcm, 0.0)
    times = np.arange(0.2, len(pcm) / PLAYED_HZ - 0.2, 0.02)
    jaw = np.array([driver.mouth_at(float(t)).jaw for t in times])
    loud = levels_db(pcm)
    level = np.array([loud[int(t * 100) - 3 : int(t * 100) + 4].max() for t in times])
    assert np.corrcoef(jaw, level)[0, 1] > 0.4
    assert 0.25 < np.percentile(jaw, 95) <= 1.0
    turns = int((np.diff(np.sign(np.diff(jaw))) != 0).sum())
    assert 4 < turns / (times[-1] - times[0]) < 25
    shut = [driver.mouth_at(float(t)).press > 0.5 or jaw_now < 0.06 for t, jaw_now in zip(times, jaw, strict=True)]
    assert 0.01 < np.mean(shut) < 0.6
