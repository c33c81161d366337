"""A voice that can begin with a few words is heard before its clause is written."""

import asyncio

from cvi.conversation.events import (
    ReplyFinished,
    ReplyFirstAudio,
    ReplyInterrupted,
    SpeechGap,
    TranscriptPartial,
    UserPaused,
)
from cvi.conversation.phrases import phrases
from cvi.testing.fakes import FakeLlm, FakePhraseTts, FakeStt, FakeSttStream, FakeTts
from cvi.testing.script import Script, ScriptOutcome

EN = phrases("en")

ANSWER = "Keepers lived alone on the rock for nearly the whole of every winter. It was cold."


def told(tts: FakeTts, interrupted: bool = False) -> ScriptOutcome:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    if interrupted:
        script.user_says(ends + 2.6, "no i meant the other one")
    else:
        script.user_says(ends + 9.0, "bye")
    answers = [ANSWER, "Goodbye."]
    return script.play(FakeLlm(answers, first_token_s=0.3, token_s=0.15), tts=tts)


def test_the_voice_starts_on_a_few_words_and_does_not_run_dry() -> None:
    tts = FakePhraseTts()
    early, late = told(tts), told(FakeTts())
    gain_s = late.of(ReplyFirstAudio)[0].at_s - early.of(ReplyFirstAudio)[0].at_s
    assert gain_s > 0.4
    assert not early.of(SpeechGap)
    assert tts.parts[0] == ("Keepers lived alone", "", "on")
    assert tts.parts[1][1] == "Keepers lived alone"
    assert early.history[2].content == ANSWER == late.history[2].content


def test_an_interruption_in_the_middle_of_a_clause_leaves_the_words_heard() -> None:
    outcome = told(FakePhraseTts(), interrupted=True)
    cut = outcome.of(ReplyInterrupted)[0]
    words = cut.heard.split()
    assert len(words) > 3
    assert ANSWER.split()[: len(words)] == words
    heard_s = cut.silent_s - outcome.of(ReplyFirstAudio)[0].at_s
    assert abs(len(words) - heard_s / 0.3) < 1.1


def test_a_model_that_fails_in_the_middle_of_a_clause_is_apologized_for_after_a_pause() -> None:
    script = Script()
    script.user_says(0.5, "tell me a story")
    outcome = script.play(FakeLlm(["Keepers lived alone on !!"]), tts=FakePhraseTts())
    assert outcome.of(ReplyFinished)[0].text == f"Keepers lived alone {EN.apology}"
    first_s = outcome.of(ReplyFirstAudio)[0].at_s
    words_s = 3 * 0.3
    assert not outcome.sound_between(first_s + words_s + 0.04, first_s + words_s + 0.16).any()


class SlowPartials(FakeStt):
    """A partial text takes 0.3 s."""

    def open(self) -> FakeSttStream:
        stream = super().open()
        at_once = stream.partial

        async def partial() -> str:
            text = await at_once()
            await asyncio.sleep(0.3)
            return text

        stream.partial = partial  # type: ignore[method-assign]
        return stream


def test_words_so_far_that_come_in_the_pause_do_not_keep_the_model_from_the_final_ones() -> None:
    script, llm = Script(), FakeLlm()
    script.user_says(0.5, "tell me a story about the old keeper")
    outcome = script.play(llm, stt=SlowPartials(script.vocabulary))
    paused_s = outcome.of(UserPaused)[0].t
    spoken = [event for event in outcome.of(TranscriptPartial) if event.t < paused_s]
    late = [event for event in outcome.of(TranscriptPartial) if event.t >= paused_s]
    assert spoken and late
    assert list(filter(None, llm.prefilled)) == [event.text.rsplit(" ", 1)[0] for event in spoken if " " in event.text]
