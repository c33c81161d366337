"""Whole spoken conversations, in virtual time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cvi.conversation.events import (
    Backchannel,
    BargeIn,
    ConversationEnded,
    DraftDiscarded,
    DraftStarted,
    EngineFailed,
    Event,
    MouthAtRest,
    ReplyCommitted,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyFirstSpeech,
    ReplyInterrupted,
    ReplyResumed,
    TurnCommitted,
    TurnEmpty,
    TurnReopened,
    TurnScored,
)
from cvi.conversation.settings import ConversationSettings
from cvi.conversation.transcript import transcript
from cvi.testing.fakes import FakeLlm, FakeStt
from cvi.testing.script import Script, ScriptOutcome


def minute(journal: Path | None = None) -> ScriptOutcome:
    """A minute with a greeting, a draft kept, one discarded, a backchannel and a barge-in."""
    script = Script()
    script.user_says(3.0, "what is your name")
    script.user_says(9.0, "i like ships ... and tall lighthouses")
    script.user_says(13.5, "mhm")
    script.user_says(20.0, "tell me a very long story")
    script.user_says(24.0, "stop that please")
    script.user_says(35.0, "who lives in the tower")
    script.user_says(58.0, "goodbye")
    answers = {
        "what is your name": "My name is June.",
        "i like ships": "Ships are large.",
        "i like ships and tall lighthouses": "They warn ships of rocks. Keepers lived in them for many years.",
        "tell me a very long story": "Once there was a keeper. She kept a log of every ship that ever passed.",
        "stop that please": "I stop.",
        "who lives in the tower": "Nobody lives there now.",
        "goodbye": "Goodbye and good luck.",
    }
    llm = FakeLlm(lambda messages: answers[messages[-1].content])
    settings = ConversationSettings("minute", "You are a guide.", greeting="Hello, how can I help?")
    return script.play(llm, settings=settings, journal=journal)


def test_a_turn_is_answered() -> None:
    script = Script()
    ends = script.user_says(0.5, "what is your name")
    outcome = script.play(FakeLlm(["My name is June."]))
    assert [(m.role, m.content) for m in outcome.history[1:]] == [
        ("user", "what is your name"),
        ("assistant", "My name is June."),
    ]
    assert outcome.of(TurnCommitted)[0].completeness > 0.5
    first = outcome.of(ReplyFirstAudio)[0].at_s
    assert ends < first < ends + 0.7
    assert outcome.sound_between(first, first + 1.0).any()
    assert not outcome.sound_between(0, ends).any()
    assert outcome.reason == "caller_over"


def test_a_minute_is_far_faster_than_real_time_and_the_same_each_run(tmp_path: Path) -> None:
    started = time.process_time()
    one = minute(tmp_path / "a" / "journal.jsonl")
    assert time.process_time() - started < 6  # about half a second; a tenth of real time is the bound
    minute(tmp_path / "b" / "journal.jsonl")
    assert (tmp_path / "a" / "journal.jsonl").read_bytes() == (tmp_path / "b" / "journal.jsonl").read_bytes()
    assert one.events[-1].t > 59
    for kind in (DraftStarted, DraftDiscarded, TurnCommitted, BargeIn, Backchannel):
        assert one.of(kind), kind


def test_resumed_speech_discards_the_draft() -> None:
    script = Script()
    script.user_says(0.5, "i like tea ... and i like coffee")
    outcome = script.play()
    assert [event.reason for event in outcome.of(DraftDiscarded)] == ["resumed"]
    committed = outcome.of(TurnCommitted)
    assert [event.text for event in committed] == ["i like tea and i like coffee"]
    assert not outcome.sound_between(0, committed[0].t).any()


def test_an_open_ending_is_waited_for() -> None:
    script = Script()
    quick, slow = Script(), script
    ends_quick = quick.user_says(0.5, "i like tea")
    ends_slow = slow.user_says(0.5, "i like tea and")
    first = quick.play().of(TurnCommitted)[0].t - ends_quick
    second = slow.play().of(TurnCommitted)[0].t - ends_slow
    assert first < 0.5 < 1.0 < second


def test_barge_in_leaves_only_what_was_heard() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    script.user_says(ends + 2.5, "no i meant the other one")
    story = "Once upon a time there was a keeper who lived alone on a rock in the sea."
    outcome = script.play(FakeLlm([story, "Oh the other one."]))
    cut = outcome.of(ReplyInterrupted)[0]
    heard = cut.heard
    assert story.startswith(heard) and 0 < len(heard) < len(story)
    assistant = [message.content for message in outcome.history if message.role == "assistant"]
    assert assistant[0] == heard.rstrip(" ,;:") + "…"
    silent_s = cut.silent_s
    assert silent_s - outcome.of(BargeIn)[0].voice_at_s <= 0.5
    next_audio = outcome.of(ReplyFirstAudio)[1].at_s
    assert not outcome.sound_between(silent_s + 0.04, next_audio - 0.04).any()
    rest = outcome.of(MouthAtRest)[0].at_s
    assert rest - silent_s <= 0.2
    # The mouth is on the screen as the journal says: luma 16 is a shut jaw.
    after = [unit for unit in outcome.units if rest + 0.04 <= unit.start_s < next_audio - 0.04]
    assert after and all(unit.frame[0, 0] == 16 for unit in after)


def test_nothing_stale_is_played_after_a_cut() -> None:
    outcome = minute()
    cut = {e.reply: e.silent_s for e in outcome.of(ReplyInterrupted)}
    assert cut
    for unit in outcome.units:
        if unit.generation in cut:
            assert unit.start_s <= cut[unit.generation]


def test_a_backchannel_is_not_an_interruption() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    script.user_says(ends + 2.0, "mhm")
    story = "Once upon a time there was a keeper who lived alone on a rock."
    outcome = script.play(FakeLlm([story]))
    assert outcome.of(Backchannel) and not outcome.of(ReplyInterrupted)
    assert outcome.history[-1].content == story


def test_long_listening_that_cut_a_reply_leaves_no_draft_behind() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    script.user_says(ends + 2.0, "okay okay okay okay")
    script.user_says(ends + 9.0, "mhm")
    story = (
        "Once upon a time there was a keeper who lived alone on a rock. He had a lamp, a boat and no clock."
    )
    outcome = script.play(FakeLlm([story]))
    assert outcome.of(BargeIn) and outcome.of(Backchannel) and outcome.of(ReplyResumed)
    assert len(outcome.of(DraftStarted)) == 1, "listening is not answered"
    assert outcome.reason == "caller_over"


def test_one_word_stop_is_an_interruption() -> None:
    script = Script()
    ends = script.user_says(0.5, "tell me a story")
    script.user_says(ends + 2.0, "stop")
    outcome = script.play(
        FakeLlm(["Once upon a time there was a keeper who lived alone on a rock.", "Okay."])
    )
    assert outcome.of(BargeIn) and not outcome.of(Backchannel)


def test_going_on_before_anything_is_heard_reopens_the_turn() -> None:
    script = Script()
    # The first part sounds complete; the second comes after the floor passed, before the sound.
    ends = script.user_says(0.5, "i like tea")
    script.user_says(ends + 0.9, "with milk")
    llm = FakeLlm(lambda messages: "Noted.", first_token_s=1.5)
    outcome = script.play(llm)
    assert outcome.of(TurnReopened)
    assert [m.content for m in outcome.history if m.role == "user"] == ["i like tea with milk"]
    assert [line.text for line in transcript(outcome.events) if line.role == "user"] == [
        "i like tea with milk"
    ]


@pytest.mark.parametrize("first_token_s, waited", [(0.8, True), (0.1, False)])
def test_the_floor_passes_later_while_nothing_of_the_answer_could_be_heard(
    first_token_s: float, waited: bool
) -> None:
    script = Script()
    ends = script.user_says(0.5, "i like tea")
    script.user_says(ends + 0.42, "with milk")
    outcome = script.play(FakeLlm(lambda messages: "Noted.", first_token_s=first_token_s))
    assert bool(outcome.of(TurnReopened) or outcome.of(BargeIn)) is not waited
    turns = [turn.text for turn in outcome.of(TurnCommitted)]
    assert turns == ["i like tea with milk"] if waited else turns[0] == "i like tea"


def test_a_draft_that_has_sound_at_last_is_let_out_at_once() -> None:
    script = Script()
    script.user_says(0.5, "i like tea")
    outcome = script.play(FakeLlm(["Noted."], first_token_s=0.35))
    (sound,), (committed,) = outcome.of(ReplyFirstSpeech), outcome.of(TurnCommitted)
    assert committed.t == sound.t and outcome.of(ReplyFirstAudio)[0].at_s - sound.t < 0.1


def test_a_question_asked_long_after_an_unanswered_one_is_a_turn_of_its_own() -> None:
    script = Script()
    script.user_says(0.5, "what is your name")
    script.user_says(7.0, "what can you do for me")
    outcome = script.play(FakeLlm(lambda messages: "Noted.", first_token_s=9.0))
    assert not outcome.of(TurnReopened)
    assert [turn.text for turn in outcome.of(TurnCommitted)] == [
        "what is your name",
        "what can you do for me",
    ]


def test_words_that_are_surely_complete_are_drafted_beside_the_judges() -> None:
    script = Script()
    script.user_says(0.5, "what is the name of this ship")
    outcome = script.play()
    (draft,), (scored,) = outcome.of(DraftStarted), outcome.of(TurnScored)
    assert outcome.events.index(draft) < outcome.events.index(scored)
    assert outcome.of(TurnCommitted)[0].draft_hit


def test_a_failing_model_is_apologized_for_and_the_conversation_goes_on() -> None:
    script = Script()
    script.user_says(0.5, "what is your name")
    script.user_says(9.0, "are you there")
    outcome = script.play(FakeLlm(["!!", "Yes I am here."]))
    assert outcome.of(EngineFailed)
    said = [line.text for line in transcript(outcome.events) if line.role == "assistant"]
    assert said[0].startswith("Sorry") and said[1] == "Yes I am here."


def test_a_model_failing_in_the_middle_keeps_what_it_said() -> None:
    script = Script()
    script.user_says(0.5, "what is your name")
    outcome = script.play(FakeLlm(["My name is June. I am a !! guide."]))
    said = [line.text for line in transcript(outcome.events) if line.role == "assistant"]
    assert said[0].startswith("My name is June.") and "Sorry" in said[0]


def test_a_failing_recognizer_does_not_end_the_conversation() -> None:
    script = Script()
    script.user_says(0.5, "what is your name please")
    stt = FakeStt(script.vocabulary)
    stt.fails = True
    outcome = script.play(stt=stt)
    assert outcome.of(EngineFailed) and outcome.reason == "caller_over"


def test_every_engine_stream_is_closed_at_the_end() -> None:
    outcome = minute()
    assert outcome.llm.open_streams == 0 and outcome.tts.open_streams == 0


def test_units_come_in_order_without_a_gap() -> None:
    outcome = minute()
    assert [unit.index for unit in outcome.units] == list(range(len(outcome.units)))
    assert {len(unit.pcm) for unit in outcome.units} == {960}
    assert outcome.of(ConversationEnded)[0].playout.gaps == 0


@pytest.mark.parametrize("seconds", [0.12, 0.4])
def test_a_short_noise_is_no_turn(seconds: float) -> None:
    script = Script()
    ends = script.user_coughs(0.5, seconds)
    script.user_says(ends + 3, "hi there you")
    outcome = script.play()
    assert len(outcome.of(TurnEmpty)) == 1
    assert [event.text for event in outcome.of(TurnCommitted)] == ["hi there you"]
    assert len(outcome.of(ReplyCommitted)) == 1
    states = [text for event, text in outcome.notes if event == "state"]
    assert states == ["listening", "idle", "listening", "thinking", "idle"], (
        "a noise is not listened to for ever"
    )


def test_a_long_voice_without_a_word_is_asked_about() -> None:
    script = Script()
    script.user_coughs(0.5, 2.0)
    outcome = script.play()
    assert not outcome.of(TurnCommitted)
    assert "didn't catch" in outcome.of(ReplyFinished)[0].text


def test_the_face_shows_the_emotion_of_the_words_that_are_heard() -> None:
    script = Script()
    script.user_says(0.5, "tell me a long story")
    seen: list[tuple[float, float]] = []

    def look(conversation: object) -> None:
        reply = conversation.playout.reply  # type: ignore[attr-defined]
        lengths = [reply.emotion_at(position) for position in (0, reply.timeline.length - 1)]
        seen.extend([lengths])  # type: ignore[list-item]

    script.app_does(5.0, look)
    text = (
        '<emotion value="happy"/> One two three four five six. <emotion value="sad"/> Seven eight nine ten.'
    )
    outcome = script.play(FakeLlm([text]))
    assert "happy" not in outcome.history[-1].content
    assert seen == [["happy", "sad"]]


def test_sound_before_the_commit_is_an_error_from_one_unit_on() -> None:
    from cvi.conversation.latency import turn_latencies
    from cvi.errors import CviError

    def journal(heard_s: float) -> list[Event]:
        committed = TurnCommitted(
            t=1.3,
            turn=1,
            reply=1,
            text="yes",
            speech_start_s=0.5,
            speech_end_s=1.0,
            silence_ms=300,
            completeness=0.9,
            draft_hit=True,
        )
        return [committed, ReplyFirstAudio(t=1.3, reply=1, at_s=heard_s)]

    assert turn_latencies(journal(1.29))[0].first_audio == pytest.approx(290)
    with pytest.raises(CviError, match="before the floor"):
        turn_latencies(journal(1.2))
