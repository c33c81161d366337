"""The two voices that need no weights: espeak-ng and flite."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.audio.resample import resample
from cvi.errors import MissingError, UsageError
from cvi.testing.contracts.tts import check_tts
from cvi.tts import espeak, flite
from cvi.tts.base import Speech, TtsEngine, TtsSettings
from cvi.tts.ipa import CONSONANTS, VOWELS

BUILDERS = {"espeak": espeak.build, "flite": flite.build}


def engine(name: str, **settings: object) -> TtsEngine:
    try:
        return BUILDERS[name](TtsSettings(**settings))  # type: ignore[arg-type]
    except MissingError as error:
        pytest.skip(str(error))


async def spoken(voice: TtsEngine, text: str) -> Speech:
    pieces = [piece async for piece in voice.speak(text)]
    assert len(pieces) == 1
    return pieces[0]


@pytest.mark.parametrize("name", BUILDERS)
async def test_contract(name: str) -> None:
    voice = engine(name)
    pieces = await check_tts(voice)
    assert all(piece.phones for piece in pieces)
    voice.close()


@pytest.mark.parametrize("name", BUILDERS)
async def test_phones_are_of_the_known_set_and_lie_where_the_sound_is(name: str) -> None:
    voice = engine(name)
    speech = await spoken(
        voice, "Bob, my baby, chose five thick yellow measures; joy, oil and thin air, oh no!"
    )
    for phone in speech.phones:
        known = phone.ipa == "" or phone.ipa in CONSONANTS or all(char in VOWELS for char in phone.ipa)
        assert known, phone
        assert phone.stress == 0 or phone.ipa[:1] in VOWELS
    assert {"b", "m", "f", "θ", "tʃ", "ʒ", "aɪ", "ɔɪ", "oʊ"} <= {phone.ipa for phone in speech.phones}
    assert any(phone.stress == 1 for phone in speech.phones)
    loud = np.abs(speech.pcm.astype(float))

    def level(wanted: bool) -> float:
        spans = [
            loud[round(p.start_s * PLAYED_HZ) : round(p.end_s * PLAYED_HZ)]
            for p in speech.phones
            if (p.ipa[:1] in VOWELS and p.ipa != "") == wanted and (wanted or p.ipa == "")
        ]
        return float(np.concatenate(spans).mean())

    assert level(True) > 10 * level(False)


@pytest.mark.parametrize("name", BUILDERS)
async def test_words_are_slices_of_the_written_text(name: str) -> None:
    voice = engine(name)
    text = "On **Jan. 5**, one of the guests would have paid $3.50."
    speech = await spoken(voice, text)
    assert [text[word.text_start : word.text_end] for word in speech.words] == [
        "On", "Jan", "5", "one", "of", "the", "guests", "would", "have", "paid", "$3.50",
    ]  # fmt: skip
    longest = max(speech.words, key=lambda word: word.end_s - word.start_s)
    assert text[longest.text_start : longest.text_end] == "$3.50"
    assert all(word.end_s > word.start_s for word in speech.words)


@pytest.mark.parametrize("name", BUILDERS)
async def test_speed_and_pitch(name: str) -> None:
    text = "We were away a year ago in Maryland."
    plain = await spoken(engine(name), text)
    fast = await spoken(engine(name, speed=1.5), text)
    high = await spoken(engine(name, pitch=1.35), text)
    assert fast.duration_s < 0.8 * plain.duration_s
    assert 0.8 < high.duration_s / plain.duration_s < 1.25
    assert pitch_hz(high) > 1.1 * pitch_hz(plain)
    again = await spoken(engine(name), text)
    assert abs(again.duration_s - plain.duration_s) < 0.05, "one voice's speed leaked into another"


def pitch_hz(speech: Speech) -> float:
    """Median fundamental of the vowels, by autocorrelation."""
    found = []
    for phone in speech.phones:
        at = round((phone.start_s + phone.end_s) / 2 * PLAYED_HZ)
        window = speech.pcm[max(0, at - 480) : at + 480].astype(float)
        if phone.ipa[:1] in VOWELS and phone.ipa and len(window) == 960:
            correlation = np.correlate(window, window, "full")[959:]
            lags = slice(PLAYED_HZ // 450, PLAYED_HZ // 70)
            found.append(PLAYED_HZ / (lags.start + int(np.argmax(correlation[lags]))))
    return float(np.median(found))


async def test_numbers_are_spoken_in_the_voices_language() -> None:
    voice = engine("espeak", language="de", voice="de")
    speech = await spoken(voice, "Es kostet 20 Euro.")
    assert "ts" in "".join(phone.ipa for phone in speech.phones)


async def test_two_espeaks_on_two_threads_do_not_mix() -> None:
    from cvi.tts.espeak import espeak as library

    try:
        lib = library()
    except MissingError as error:
        pytest.skip(str(error))
    texts = ["The first voice says this.", "Quite another voice says something much longer than that."]

    def speak(text: str, voice: str) -> bytes:
        return lib.synthesize(text, voice, 165, 50, 50, threading.Event()).pcm.tobytes()

    alone = [speak(texts[0], "en-us+f3"), speak(texts[1], "en-gb+m3")]
    got: list[list[bytes]] = [[], []]

    def work(index: int, voice: str) -> None:
        got[index] = [speak(texts[index], voice) for _ in range(5)]

    threads = [
        threading.Thread(target=work, args=(0, "en-us+f3")),
        threading.Thread(target=work, args=(1, "en-gb+m3")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in (0, 1):
        lengths = {len(pcm) for pcm in got[index]}
        assert all(abs(length - len(alone[index])) < 0.1 * len(alone[index]) for length in lengths)


@pytest.mark.parametrize("name", BUILDERS)
def test_an_unknown_voice_is_misuse(name: str) -> None:
    engine(name)
    with pytest.raises(UsageError, match="nobody"):
        engine(name, voice="nobody")


def test_flite_speaks_only_english() -> None:
    engine("flite")
    with pytest.raises(UsageError, match="only English"):
        engine("flite", language="de")


def test_a_missing_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from cvi.tts import flite as flite_module

    def absent(*_: object, **__: object) -> None:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(flite_module.ctypes, "CDLL", absent)
    monkeypatch.setattr(flite_module.ctypes.util, "find_library", lambda _: None)
    with pytest.raises(MissingError, match="apt install flite"):
        flite_module.Flite()


@pytest.mark.parametrize("name", BUILDERS)
def test_voices_are_listed(name: str) -> None:
    voices = engine(name).voices()  # type: ignore[attr-defined]
    assert {"espeak": "en-us", "flite": "slt"}[name] in voices


@pytest.mark.parametrize("voice", ["slt", "rms"])
async def test_a_recognizer_understands_flite(voice: str) -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    text = "Good morning, please tell me about the weather in the city and what people do there on Sunday."
    speech = await spoken(engine("flite", voice=voice), text)
    decoder = pocketsphinx.Decoder(samprate=HEARD_HZ, loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(resample(speech.pcm, PLAYED_HZ, HEARD_HZ).tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp().hypstr.lower().split()
    wanted = text.lower().replace(",", "").replace(".", "").split()
    assert sum(word in heard for word in wanted) >= 0.75 * len(wanted), heard
