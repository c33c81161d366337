"""The reading scripts contain every mouth shape often enough, in every language."""

from __future__ import annotations

import pytest

from cvi.errors import UsageError
from cvi.testing.footage.plans import LIPLESS_LINES
from cvi.training.recording.reading_script import (
    BITTEN,
    CLOSED,
    NEEDED,
    ROUNDED,
    Teleprompter,
    count_phones,
    coverage,
    cues,
    languages,
    load_reading_script,
)
from cvi.tts.base import Phone


def test_there_is_a_script_in_english_and_others() -> None:
    assert set(languages()) >= {"de", "en", "es", "fr"}
    assert load_reading_script("EN_us").language == "en"
    with pytest.raises(UsageError, match="no reading script in 'xx'"):
        load_reading_script("xx")


@pytest.mark.parametrize("language", languages())
def test_a_script_has_what_a_replica_needs(language: str) -> None:
    sheet = load_reading_script(language)
    assert 90 <= sheet.speech_s <= 180
    assert sum(part.seconds for part in sheet.parts if part.kind == "listen") == 60
    assert sum(part.kind == "still" and part.seconds >= 5 for part in sheet.parts) >= 2
    feelings = {part.feeling: part.seconds for part in sheet.parts if part.kind == "read"}
    assert set(feelings) == {"neutral", "happy", "concerned", "surprised"}
    assert all(11 <= seconds <= 22 for feeling, seconds in feelings.items())


@pytest.mark.parametrize("language", languages())
def test_a_script_covers_the_sounds(language: str) -> None:
    found = coverage(load_reading_script(language).spoken_text, language)
    assert found.missing == ()
    assert len(found.phones) > 25


def test_a_text_without_labials_is_found() -> None:
    found = coverage("\n".join(LIPLESS_LINES))
    assert CLOSED in found.missing and found.mouths[CLOSED] == 0


def test_sounds_are_counted_by_what_the_mouth_does() -> None:
    phones = [Phone(ipa, 0.0, 0.1) for ipa in ("m", "u", "v", "i", "", "b", "aʊ")]
    found = count_phones(phones)
    assert found.mouths[CLOSED] == 2 and found.mouths[BITTEN] == 1 and found.mouths[ROUNDED] == 2
    assert set(found.mouths) == set(NEEDED)
    assert "" not in found.phones


def test_the_teleprompter_advances_by_time_and_by_hand() -> None:
    prompter = Teleprompter(load_reading_script("en"))
    first = prompter.at(0.0)
    assert first is not None and first.kind == "note"
    assert prompter.at(first.seconds - 0.01) is first
    second = prompter.at(first.seconds)
    assert second is not None and second.kind == "still"
    prompter.skip(10.0)
    prompter.skip(11.0)
    line = prompter.cue
    assert line is not None and line.kind == "read" and prompter.coming
    prompter.again(11.0)  # at once: the one before
    assert prompter.cue is not line
    prompter.skip(12.0)
    prompter.at(12.0 + line.seconds / 2)
    prompter.again(12.0 + line.seconds / 2)
    assert prompter.cue is line and prompter.share(12.0 + line.seconds / 2) == 0.0
    assert prompter.spoken == ""
    prompter.skip(20.0)
    assert prompter.spoken == line.text
    assert prompter.at(10_000.0) is None and prompter.over and prompter.left_s == 0


def test_every_line_is_shown_once() -> None:
    sheet = load_reading_script("de")
    shown = [cue.text for cue in cues(sheet) if cue.kind == "read"]
    assert "\n".join(shown) == sheet.spoken_text
