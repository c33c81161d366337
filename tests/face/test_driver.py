"""The mouth follows the phones: contact, coarticulation, rest, cut; and the sound where there are none."""

from __future__ import annotations

from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvi.audio.block import PLAYED_HZ, to_int16
from cvi.face.base import REST, MouthShape
from cvi.face.driver import MouthDriver
from cvi.face.phonetics import targets
from cvi.tts.base import Phone

SYMBOLS = ["p", "b", "m", "f", "v", "t", "s", "l", "θ", "k", "ɹ", "w", "h", "i", "ɑ", "u", "aɪ", "tʃ", ""]
CHANNELS = ("jaw", "wide", "round", "press", "tuck", "tongue")


def timeline(*sounds: tuple[str, float], start_s: float = 0.0) -> list[Phone]:
    phones = []
    for ipa, length_s in sounds:
        phones.append(Phone(ipa, start_s, start_s + length_s, stress=1 if ipa in {"ɑ", "u", "i"} else 0))
        start_s += length_s
    return phones


def tone(length_s: float, amplitude: float = 0.3, hz: float = 180.0) -> np.ndarray:
    """A buzz with harmonics, loud all along."""
    t = np.arange(int(length_s * PLAYED_HZ)) / PLAYED_HZ
    k = np.arange(1, 12)[:, None]
    return to_int16(amplitude / 2 * (np.sin(2 * np.pi * hz * k * t) / k).sum(axis=0))


def driven(phones: list[Phone]) -> MouthDriver:
    driver = MouthDriver()
    driver.append(phones, tone(phones[-1].end_s), 0.0)
    return driver


def frames(driver: MouthDriver, end_s: float, step_s: float = 0.04, start_s: float = 0.0) -> list[MouthShape]:
    return [driver.mouth_at(start_s + i * step_s) for i in range(int((end_s - start_s) / step_s) + 1)]


@pytest.mark.parametrize("consonant", ["p", "b", "m", "pʰ", "mʲ"])
@pytest.mark.parametrize("length_s", [0.03, 0.06, 0.12])
@pytest.mark.parametrize("phase_s", [0.0, 0.013, 0.027])
def test_lips_close_in_some_frame_at_any_frame_phase(consonant: str, length_s: float, phase_s: float) -> None:
    driver = driven(timeline(("ɑ", 0.15), (consonant, length_s), ("ɑ", 0.2)))
    shapes = frames(driver, 0.5, start_s=phase_s)
    assert any(shape.jaw == 0.0 and shape.press > 0.85 for shape in shapes)
    assert max(shape.jaw for shape in shapes) > 0.5


@pytest.mark.parametrize("phase_s", [0.0, 0.013, 0.027])
def test_the_lip_meets_the_teeth(phase_s: float) -> None:
    shapes = frames(driven(timeline(("ɑ", 0.15), ("v", 0.05), ("ɑ", 0.2))), 0.4, start_s=phase_s)
    assert any(shape.tuck == 1.0 and shape.press == 0.0 and shape.jaw < 0.2 for shape in shapes)


@pytest.mark.parametrize("contact", ["p", "m", "f", "v"])
@pytest.mark.parametrize("phase_s", [0.0, 0.01, 0.02, 0.03])
def test_lips_move_no_faster_than_peoples(contact: str, phase_s: float) -> None:
    """A jaw opened by 1 parts the lips by 3.2 cm of a face 14 cm wide: 0.42 m/s is 0.52 a frame."""
    driver = driven(timeline(("ɑ", 0.2), (contact, 0.07), ("ɑ", 0.2), (contact, 0.05), ("æ", 0.2)))
    shapes = frames(driver, 0.9, start_s=phase_s)
    openings = [shape.jaw * (1 - shape.press) * (1 - shape.tuck) for shape in shapes]
    assert max(openings) > 0.6
    assert max(abs(b - a) for a, b in pairwise(openings)) < 0.52


@pytest.mark.parametrize("first", ["m", "v"])
@pytest.mark.parametrize("length_s", [0.05, 0.09])
@pytest.mark.parametrize("phase_s", [0.0, 0.013, 0.027])
def test_consecutive_contacts_are_both_reached(
    first: str, length_s: float, phase_s: float
) -> None:
    second = {"m": "f", "v": "b"}[first]
    driver = driven(timeline(("a", 0.15), (first, length_s), (second, length_s), ("a", 0.15)))
    shapes = frames(driver, 0.5, start_s=phase_s)
    assert any(shape.press > 0.85 and shape.tuck == 0.0 for shape in shapes)
    assert any(shape.tuck > 0.95 and shape.press == 0.0 for shape in shapes)


def test_a_rounded_vowel_is_anticipated_through_its_consonants() -> None:
    before_u = driven(timeline(("ə", 0.1), ("s", 0.06), ("t", 0.06), ("u", 0.2)))
    before_i = driven(timeline(("ə", 0.1), ("s", 0.06), ("t", 0.06), ("i", 0.2)))
    assert before_u.mouth_at(0.14).round > before_i.mouth_at(0.14).round + 0.15
    assert before_i.mouth_at(0.14).wide > before_u.mouth_at(0.14).wide + 0.06
    assert before_u.mouth_at(0.32).round > 0.8


def test_vowels_have_different_mouths() -> None:
    open_, spread, rounded = (driven(timeline((v, 0.3))).mouth_at(0.15) for v in ("ɑ", "i", "u"))
    assert open_.jaw > 0.65 > 0.35 > max(spread.jaw, rounded.jaw)
    assert spread.wide > 0.6 > 0.2 > max(open_.wide, rounded.wide)
    assert rounded.round > 0.8 > 0.2 > max(open_.round, spread.round)
    assert driven(timeline(("ð", 0.1), ("ə", 0.1))).mouth_at(0.07).tongue > 0.5


def test_a_diphthong_moves() -> None:
    driver = driven(timeline(("aɪ", 0.3)))
    assert driver.mouth_at(0.1).jaw > driver.mouth_at(0.27).jaw + 0.25
    assert driver.mouth_at(0.27).wide > driver.mouth_at(0.1).wide + 0.15


def test_loud_and_stressed_opens_wider() -> None:
    def opening(stress: int, amplitude: float) -> float:
        driver = MouthDriver()
        sound = np.concatenate((tone(0.5, 0.5), tone(0.3, amplitude)))
        driver.append([Phone("ə", 0.0, 0.5), Phone("ɑ", 0.5, 0.8, stress)], sound, 0.0)
        return driver.mouth_at(0.65).jaw

    assert opening(1, 0.5) > opening(0, 0.5) > opening(0, 0.06)


@pytest.mark.parametrize("last", ["ɑ", "m", "u", "v", "l"])
def test_rest_is_exact_around_speech(last: str) -> None:
    phones = timeline(("", 0.2), ("ɑ", 0.2), (last, 0.15))
    driver = driven(phones)
    assert driver.mouth_at(-0.01) is REST
    assert driver.mouth_at(0.05) is REST
    assert driver.mouth_at(0.3) != REST
    for late_s in (0.12, 0.2, 1.0, 100.0):
        assert driver.mouth_at(0.55 + late_s) is REST


def test_a_pause_is_rest_and_closed_lips_stay_closed() -> None:
    driver = driven(timeline(("ɑ", 0.2), ("m", 0.1), ("", 0.5), ("m", 0.1), ("ɑ", 0.2)))
    assert all(shape.jaw == 0.0 for shape in (driver.mouth_at(0.26 + i * 0.005) for i in range(110)))
    assert driver.mouth_at(0.55) is REST


@pytest.mark.parametrize("cut_s", [0.04, 0.16, 0.2, 0.33, 0.9])
def test_a_cut_closes_the_mouth_in_time(cut_s: float) -> None:
    driver = driven(timeline(("ɑ", 0.15), ("p", 0.08), ("u", 0.3), ("ɑ", 0.5)))
    untouched = driver.mouth_at(cut_s - 0.02)
    at_cut = driver.mouth_at(cut_s)
    driver.cut(cut_s)
    driver.append(timeline(("ɑ", 0.5)), tone(0.5), 1.03)
    assert driver.mouth_at(cut_s - 0.02) == untouched
    assert driver.mouth_at(cut_s) == at_cut
    assert driver.mouth_at(cut_s + 0.001).jaw == pytest.approx(at_cut.jaw, abs=0.01)
    # Whichever frame shows it first, at 25 a second, shows it within 160 ms.
    for late_s in (0.12, 0.16, 0.3, 0.6):
        assert driver.mouth_at(cut_s + late_s) is REST
    driver.cut(cut_s + 0.5)
    assert driver.mouth_at(cut_s + 0.5) is REST


def test_speech_that_arrives_late_joins_without_a_jump() -> None:
    driver = MouthDriver()
    driver.append(timeline(("ɑ", 0.2), ("", 0.02)), tone(0.22), 0.0)
    shown = [driver.mouth_at(i * 0.01) for i in range(29)]
    driver.append(timeline(("", 0.05), ("ɑ", 0.3)), tone(0.35), 0.22)
    shown += [driver.mouth_at(i * 0.01) for i in range(29, 60)]
    steps = [abs(b.jaw - a.jaw) for a, b in pairwise(shown[25:])]
    assert max(steps) < 0.16
    assert driver.mouth_at(0.45).jaw > 0.6


def test_silence_that_arrives_late_does_not_keep_the_mouth_open() -> None:
    driver = MouthDriver()
    driver.append(timeline(("ɑ", 0.3)), tone(0.3), 0.0)
    assert driver.mouth_at(0.37).jaw > 0.05
    driver.append([Phone("", 0.0, 0.3)], np.zeros(PLAYED_HZ // 3, dtype=np.int16), 0.3)
    driver.append((), np.zeros(PLAYED_HZ // 3, dtype=np.int16), 0.6)
    assert driver.mouth_at(0.42) is REST


def test_pieces_make_the_same_mouth_as_one() -> None:
    sounds = [("ɑ", 0.15), ("s", 0.1), ("u", 0.2), ("b", 0.08), ("i", 0.2)]
    whole = driven(timeline(*sounds))
    pieces = MouthDriver()
    at = 0.0
    for sound in sounds:
        pieces.append(timeline(sound), tone(sound[1]), at)
        at += sound[1]
    for a, b in zip(frames(whole, 1.0), frames(pieces, 1.0), strict=True):
        assert astuple(a) == pytest.approx(astuple(b), abs=0.06)


def test_sound_alone_drives_the_mouth_and_silence_does_not() -> None:
    silence = np.zeros(PLAYED_HZ // 2, dtype=np.int16)
    driver = MouthDriver()
    driver.append((), np.concatenate((silence, tone(0.4, 0.4), silence)), 0.0)
    assert driver.mouth_at(0.3) is REST
    assert driver.mouth_at(0.7).jaw > 0.2
    assert driver.mouth_at(0.9 + 0.12) is REST
    quiet = MouthDriver()
    quiet.append((), np.concatenate((tone(0.4, 0.4), tone(0.4, 0.04))), 0.0)
    assert quiet.mouth_at(0.2).jaw > 2 * quiet.mouth_at(0.6).jaw > 0.0


def test_sound_in_pieces_gives_the_same_mouth() -> None:
    sound = tone(1.0, 0.3)
    whole, pieces = MouthDriver(), MouthDriver()
    whole.append((), sound, 0.0)
    for at in range(0, len(sound), 1111):
        pieces.append((), sound[at : at + 1111], at / PLAYED_HZ)
    for i in range(10, 24):
        assert pieces.mouth_at(i * 0.04).jaw == pytest.approx(whole.mouth_at(i * 0.04).jaw, abs=0.15)


def test_bright_and_dark_sounds_give_different_mouths() -> None:
    def vowel(formants: tuple[float, ...]) -> np.ndarray:
        t = np.arange(int(0.4 * PLAYED_HZ)) / PLAYED_HZ
        sound = np.zeros(len(t))
        for k in range(1, 40):
            gains = (g / (1 + (1.5 * k - f / 80) ** 2) for f, g in zip(formants, (1, 0.2, 0.1), strict=True))
            sound += sum(gains) * np.sin(2 * np.pi * 120 * k * t)
        return to_int16(0.3 * sound / np.abs(sound).max())

    driver = MouthDriver()
    driver.append((), np.concatenate((vowel((280, 2300, 2900)), vowel((310, 800, 2300)))), 0.0)
    spread, rounded = driver.mouth_at(0.2), driver.mouth_at(0.6)
    assert spread.wide > rounded.wide + 0.2
    assert rounded.round > spread.round + 0.2


def test_emphasis_and_phrase_ends() -> None:
    sounds = (("ə", 0.1), ("ɑ", 0.2), ("t", 0.1), ("", 0.4), ("ə", 0.1), ("", 0.05), ("t", 0.1))
    driver = driven(timeline(*sounds))
    assert driver.emphasis_at(0.2) > 0.5 > driver.emphasis_at(0.02)
    ended = [driver.phrase_end_at(t) for t in (0.35, 0.45, 0.6, 0.92, 1.06)]
    assert ended == [False, True, False, False, True]
    driver.cut(0.19)
    assert driver.emphasis_at(0.2) == 0.0


@pytest.mark.parametrize(
    ("ipa", "count"),
    [("", 0), ("ˈ", 0), ("p", 1), ("aɪ", 2), ("t͡ʃ", 2), ("tʃ", 2), ("iː", 1), ("ɔ̃", 1), ("ã", 1),
     ("n̩", 1), ("ˈɑː", 1), ("kʷ", 1), ("ç", 1), ("ᵻ", 1), ("aɪɚ", 3), ("ɑːɹ", 2), ("G", 1), ("ж", 1),
     ("ƛ", 1), ("˥", 0)],
)  # fmt: skip
def test_symbols_are_split_into_articulations(ipa: str, count: int) -> None:
    found = targets(ipa)
    assert len(found) == count
    assert not found or sum(target.share for target in found) == pytest.approx(1.0)


def test_marks_change_the_letter_they_follow() -> None:
    assert targets("kʷ")[0].round > targets("k")[0].round + 0.3
    assert targets("ɪ̈")[0].jaw == targets("ɪ")[0].jaw
    assert targets("ɑːɹ")[0].share > targets("ɑɹ")[0].share
    assert targets("ᵬ")[0].lips == targets("b")[0].lips == 1.0


@given(st.text(max_size=6))
def test_any_text_gives_valid_targets(ipa: str) -> None:
    for target in targets(ipa):
        assert 0 <= target.jaw <= 1 and 0 <= target.wide <= 1 and 0 <= target.round <= 1 and target.share > 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.floats(0.0, 0.3)), min_size=1, max_size=14),
    st.floats(0.0, 1.0),
    st.floats(-0.5, 3.0),
)
def test_every_mouth_is_in_range_and_repeatable(
    sounds: list[tuple[str, float]], loudness: float, cut_s: float
) -> None:
    phones = timeline(*sounds)
    end_s = phones[-1].end_s

    def play() -> list[MouthShape]:
        driver = MouthDriver()
        driver.append(phones, tone(end_s, loudness), 0.0)
        shapes = frames(driver, end_s + 0.2, step_s=0.02)
        driver.cut(cut_s)
        return shapes + frames(driver, end_s + 0.2, step_s=0.02)

    shapes = play()
    assert shapes == play()
    for shape in shapes:
        assert all(0.0 <= value <= 1.0 for value in astuple(shape))
        assert shape.press == 0.0 or shape.tuck < 1.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SYMBOLS), st.floats(0.04, 0.3)), min_size=2, max_size=8))
def test_the_mouth_moves_without_steps(sounds: list[tuple[str, float]]) -> None:
    driver = driven(timeline(*sounds))
    shapes = frames(driver, sum(length for _, length in sounds) + 0.3, step_s=0.0005)
    for a, b in pairwise(shapes):
        for channel, x, y in zip(CHANNELS, astuple(a), astuple(b), strict=True):
            # Half a millisecond of the fastest movement there is, lips that hurry after teeth.
            assert abs(y - x) < 0.17, channel
