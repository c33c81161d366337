"""A machine that is too slow says what is short, once, and the face gives way before the sound."""

import asyncio

from cvi.conversation.events import (
    ConversationEnded,
    FrameRateChanged,
    Overloaded,
    ReplyFinished,
    SpeechGap,
)
from cvi.conversation.settings import ConversationSettings
from cvi.face.base import Controls
from cvi.media.frames import Frame
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, fake_render
from cvi.testing.script import Script, ScriptOutcome


class SlowFace:
    """Draws a frame in 60 ms from `start_s` to `end_s`, and in 10 ms else."""

    def __init__(self, start_s: float, end_s: float) -> None:
        self._start_s, self._end_s = start_s, end_s
        self.drawn: list[float] = []

    async def __call__(self, controls: Controls) -> Frame:
        now_s = asyncio.get_running_loop().time()
        if not self.drawn:
            self._start_s += now_s
            self._end_s += now_s
        self.drawn.append(now_s)
        await asyncio.sleep(0.06 if self._start_s <= now_s < self._end_s else 0.01)
        return await fake_render(controls)


def of_half_a_minute(face: SlowFace) -> ScriptOutcome:
    script = Script()
    script.app_does(30.0, lambda c: c.say("One two three four five six seven eight nine ten."))
    return script.play(render=face, settings=ConversationSettings("x", "You are a test."))


def test_frames_that_are_late_are_drawn_half_as_often_until_there_is_room() -> None:
    face = SlowFace(6.0, 16.0)
    outcome = of_half_a_minute(face)
    (report,) = outcome.of(Overloaded)
    assert report.short == "face" and "\n" not in report.message and "smaller picture" in report.message
    assert ("notice", report.message) in outcome.notes
    halved, full = outcome.of(FrameRateChanged)
    assert (halved.fps, full.fps) == (12.5, 25)
    assert 6.0 < halved.t < 7.0
    assert 16.0 < full.t < 26.0
    # Once drawn half as often, no frame is late any more; sound and the number of units never changed.
    playout = outcome.of(ConversationEnded)[0].playout
    assert playout is not None
    assert playout.repeated < 0.05 * playout.units
    assert playout.late == 0 and playout.gaps == 0
    assert [unit.index for unit in outcome.units] == list(range(len(outcome.units)))
    assert outcome.of(ReplyFinished)[0].text == "One two three four five six seven eight nine ten."


def test_a_face_that_is_always_too_slow_is_tried_again_more_and_more_rarely() -> None:
    script = Script()
    script.app_does(120.0, lambda c: c.interrupt())
    outcome = script.play(render=SlowFace(0.0, 1e9))
    assert [event.short for event in outcome.of(Overloaded)] == ["face"]
    assert [event.fps for event in outcome.of(FrameRateChanged)] == [12.5]


def test_a_fast_machine_says_nothing() -> None:
    outcome = of_half_a_minute(SlowFace(0.0, 0.0))
    assert not outcome.of(Overloaded) and not outcome.of(FrameRateChanged)


def test_a_recognizer_that_lags_is_reported_once() -> None:
    script = Script()
    script.user_says(0.5, "what is your name")
    script.user_says(12.0, "and where do you live")
    outcome = script.play(stt=FakeStt(script.vocabulary, delay_s=1.3))
    assert [event.short for event in outcome.of(Overloaded)] == ["recognition"]


def test_gaps_in_the_voice_are_reported_once() -> None:
    script = Script()
    script.user_says(0.5, "tell me a story")
    script.user_says(20.0, "and another story")
    llm = FakeLlm(["Once, there was. A keeper lived there. He was old."], token_s=0.5)
    outcome = script.play(llm, tts=FakeTts(word_s=0.1))
    assert len(outcome.of(SpeechGap)) > 5
    assert [event.short for event in outcome.of(Overloaded)] == ["voice"]
