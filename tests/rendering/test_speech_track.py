"""Scripts: sentences, pauses, emotions, and texts that cannot be filmed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvi.errors import UsageError
from cvi.rendering.speech_track import (
    LONGEST_LINE,
    MOST_WORDS,
    PARAGRAPH_PAUSE_S,
    ScriptLine,
    read_script,
    synthesize,
)
from cvi.testing.fakes import FakeTts
from cvi.tts.base import Speech
from cvi.tts.local_voice import check_readable


def test_sentences_become_lines_with_pauses() -> None:
    lines = read_script("Dr. Lee is here. She paid $3.50!\n\nNow, what?")
    assert [line.text for line in lines] == ["Dr. Lee is here.", "She paid $3.50!", "Now, what?"]
    assert lines[0].pause_s == 0.0 and 0 < lines[1].pause_s < PARAGRAPH_PAUSE_S
    assert lines[2].pause_s == PARAGRAPH_PAUSE_S


def test_full_stops_of_abbreviations_and_ordinals_end_no_line() -> None:
    lines = read_script("Am 5. Nov. 2020 kam z.B. Dr. Lee. Es war der 3. Tag.", "de")
    assert [line.text for line in lines] == ["Am 5. Nov. 2020 kam z.B. Dr. Lee.", "Es war der 3. Tag."]
    lines = read_script("We open at 9 a.m. on Monday, e.g. today. Is it No. 5? No. Bye.")
    assert [line.text for line in lines] == ["We open at 9 a.m. on Monday, e.g. today.", "Is it No. 5?", "No.", "Bye."]


def test_emotion_and_break_tags_are_read_and_not_spoken() -> None:
    lines = read_script('Hello. <emotion value="Happy"/> Good news! <break time="800ms"/> <b>Really</b>.')
    assert lines[:2] == (ScriptLine("Hello.", 0.0), ScriptLine("Good news!", lines[1].pause_s, "happy"))
    assert not any("<" in line.text for line in lines)
    assert lines[2].text == "Really" and lines[2].pause_s == 0.8


def test_repeated_sentences_are_all_kept() -> None:
    assert len(read_script("Row, row. " * 12)) == 12


@pytest.mark.parametrize("text", ["", "  \n ", "🙂🎉", "... !? <emotion value='sad'/>"])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"empty|nothing to say"):
        read_script(text)


def test_a_text_that_is_too_long_is_refused_with_its_count() -> None:
    with pytest.raises(UsageError, match="100,000 words"):
        read_script("word " * 100_000)
    assert read_script("word " * MOST_WORDS)


def test_text_without_blanks_is_cut_at_its_own_stops() -> None:
    assert [line.text for line in read_script("你好。今天天气很好！")] == ["你好。", "今天天气很好！"]


class EnglishTts(FakeTts):
    async def speak(self, text: str) -> AsyncIterator[Speech]:
        check_readable(text, "en")
        async for piece in super().speak(text):
            yield piece


class SilentTts(FakeTts):
    async def speak(self, text: str) -> AsyncIterator[Speech]:
        async for piece in super().speak(text):
            yield Speech(np.zeros_like(piece.pcm), piece.phones, piece.words)


async def test_a_film_without_sound_is_refused() -> None:
    with pytest.raises(UsageError, match=r"很好。' cannot be said\. This voice cannot read Chinese .* --language"):
        await synthesize(read_script("Hello. 今天天气很好。"), EnglishTts())
    with pytest.raises(UsageError, match="nothing to say"):
        await synthesize(read_script("Hello."), SilentTts())


@given(st.text(alphabet="ab ,.!?\n<>/\"'é你。", min_size=1, max_size=900))
def test_no_word_is_lost_and_no_line_is_too_long(text: str) -> None:
    text = text.replace("<", " ").replace(">", " ")
    try:
        lines = read_script(text)
    except UsageError:
        assert not any(character.isalnum() for character in text)
        return
    assert all(len(line.text) <= LONGEST_LINE for line in lines)
    said = "".join(character for line in lines for character in line.text if character.isalnum())
    assert said == "".join(character for character in text if character.isalnum())
