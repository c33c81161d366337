"""Perception in a conversation: scripts in virtual time, sights given as they come from a camera."""

from __future__ import annotations

from dataclasses import replace

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import ContextProvided, ParticipantHeard, ParticipantSeen, TurnCommitted
from cvi.perception.face_measures import FaceMeasures
from cvi.perception.participant import Participant, PerceptionSettings
from cvi.perception.sight import Sight
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script

FACE = FaceMeasures(0, 0, 0, 0.5, 0.5, 0.3, 0.5, 0.4, 0.3, 0.3, 0, 0, 0.0, 0.4, 0.01, 0.2, 0.2)
PLAIN = Sight(0.0, "good", 1, FACE, calibrated=True, look="screen", look_s=3.0)


def show(script: Script, participant: Participant, sight: Sight, start_s: float, end_s: float) -> None:
    """The camera shows `sight` from one time to another, ten times a second."""
    for tenth in range(round(start_s * 10), round(end_s * 10)):
        script.app_does(tenth / 10, lambda _, t_s=tenth / 10: participant.saw(replace(sight, t_s=t_s)))


def settings(**changes: object) -> PerceptionSettings:
    return replace(PerceptionSettings(hears=False), **changes)


def test_a_smile_is_told_to_the_model_and_written_into_the_journal() -> None:
    script, participant = Script(), Participant(settings())
    show(script, participant, replace(PLAIN, smile=0.9), 0.0, 6.0)
    script.user_says(2.0, "tell me about the sea")
    llm = FakeLlm(["The sea is deep."])
    outcome = script.play(llm, capabilities=Capabilities([participant], perceiver=participant))
    (note,) = outcome.of(ContextProvided)
    assert note.source == "perception"
    assert note.text == "<user_appearance>They are looking at you and smiling.</user_appearance>"
    assert "They are looking at you and smiling." in [seen.text for seen in outcome.of(ParticipantSeen)]
    assert all(seen.age_s <= 0.3 for seen in outcome.of(ParticipantSeen))


def test_a_plain_face_costs_no_words_unless_somebody_asks() -> None:
    for words, told in (("tell me about the sea", False), ("how do I look today", True)):
        script, participant = Script(), Participant(settings())
        show(script, participant, PLAIN, 0.0, 6.0)
        script.user_says(2.0, words)
        outcome = script.play(FakeLlm(["Well."]), capabilities=Capabilities([participant], perceiver=participant))
        assert bool(outcome.of(ContextProvided)) is told


def test_fine_said_with_drawn_brows_is_named() -> None:
    script, participant = Script(), Participant(settings())
    show(script, participant, replace(PLAIN, furrowed=0.8), 0.0, 6.0)
    script.user_says(2.0, "yes that is fine")
    outcome = script.play(FakeLlm(["Shall I go over it again?"]), capabilities=Capabilities([participant], perceiver=participant))
    (note,) = outcome.of(ContextProvided)
    assert 'They say "fine", but their brows are drawn together.' in note.text
    (heard,) = outcome.of(ParticipantHeard)
    assert heard.turn == 1 and heard.mismatch


def test_emotions_are_named_only_where_that_was_turned_on() -> None:
    for named in (False, True):
        script, participant = Script(), Participant(settings(emotion_recognition=named))
        show(script, participant, replace(PLAIN, smile=0.95), 0.0, 6.0)
        script.user_says(2.0, "tell me about the sea")
        outcome = script.play(FakeLlm(["Well."]), capabilities=Capabilities([participant], perceiver=participant))
        (note,) = outcome.of(ContextProvided)
        assert ("Their face looks happy." in note.text) is named


def test_the_old_mode_speaks_of_a_visual_scene() -> None:
    script, participant = Script(), Participant(settings(form="scene"))
    show(script, participant, replace(PLAIN, smile=0.9), 0.0, 6.0)
    script.user_says(2.0, "hello there")
    outcome = script.play(FakeLlm(["Hello."]), capabilities=Capabilities([participant], perceiver=participant))
    (note,) = outcome.of(ContextProvided)
    assert note.text.startswith("USER_SPEECH: hello there VISUAL_SCENE: They are looking at you and smiling.")


def test_bad_pictures_are_stated_and_the_conversation_goes_on() -> None:
    told = {
        "none": "No picture comes from the camera.",
        "black": "The camera shows nothing: its picture is black.",
        "covered": "The camera shows nothing: something covers it.",
        "frozen": "The camera's picture is frozen.",
    }
    for picture, words in told.items():
        script, participant = Script(), Participant(settings())
        show(script, participant, Sight(0.0, picture), 0.0, 6.0)  # type: ignore[arg-type]
        script.user_says(2.0, "can you see me")
        outcome = script.play(FakeLlm(["No."]), capabilities=Capabilities([participant], perceiver=participant))
        assert outcome.of(TurnCommitted)
        assert [note.text for note in outcome.of(ContextProvided)] == [f"<user_appearance>{words}</user_appearance>"]


def test_two_faces_no_face_and_a_photograph_are_stated() -> None:
    cases = {
        "Two people are in front of the camera.": replace(PLAIN, people=2),
        "Nobody is in front of the camera.": Sight(0.0, "good"),
        "it may be a photograph": replace(PLAIN, still=True),
        "The picture lies on its side.": replace(PLAIN, picture="sideways"),
    }
    for words, sight in cases.items():
        script, participant = Script(), Participant(settings())
        show(script, participant, sight, 0.0, 6.0)
        script.user_says(2.0, "can you see me")
        outcome = script.play(FakeLlm(["Well."]), capabilities=Capabilities([participant], perceiver=participant))
        assert words in outcome.of(ContextProvided)[0].text


def test_the_face_answers_a_smile_within_300_ms() -> None:
    script, participant = Script(), Participant(settings())
    show(script, participant, PLAIN, 0.0, 2.0)
    show(script, participant, replace(PLAIN, smile=1.0), 2.0, 5.0)
    script.user_says(4.0, "hello")
    seen: list[tuple[float, float]] = []
    for hundredth in range(100, 400, 4):
        script.app_does(
            hundredth / 100,
            lambda c, t_s=hundredth / 100: seen.append((t_s, c.playout.cues.user_smile)),
        )
    script.play(FakeLlm(["Hello."]), capabilities=Capabilities([participant], perceiver=participant))
    first_s = next(t_s for t_s, smile in seen if smile > 0.4)
    assert 2.0 <= first_s <= 2.3
