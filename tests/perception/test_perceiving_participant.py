"""Perception in a conversation: scripts in virtual time, sights given as they come from a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import (
    AwarenessAnswered,
    ContextProvided,
    ParticipantHeard,
    ParticipantSeen,
    PerceptionToolCalled,
    ScreenRead,
    TurnCommitted,
)
from cvi.llm.base import Message
from cvi.perception.awareness import Awareness, AwarenessSettings, PerceptionTool
from cvi.perception.briefing import Briefing
from cvi.perception.face_measures import FaceMeasures
from cvi.perception.fusion import NO_MISMATCH
from cvi.perception.hearing import VoiceSummary
from cvi.perception.participant import Participant, PerceptionSettings
from cvi.perception.screen_watch import ScreenState
from cvi.perception.sight import Sight
from cvi.server.worker.interactions import Interactions
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
        outcome = script.play(
            FakeLlm(["Well."]), capabilities=Capabilities([participant], perceiver=participant)
        )
        assert bool(outcome.of(ContextProvided)) is told


def test_fine_said_with_drawn_brows_is_named() -> None:
    script, participant = Script(), Participant(settings())
    show(script, participant, replace(PLAIN, furrowed=0.8), 0.0, 6.0)
    script.user_says(2.0, "yes that is fine")
    outcome = script.play(
        FakeLlm(["Shall I go over it again?"]),
        capabilities=Capabilities([participant], perceiver=participant),
    )
    (_, hint) = outcome.of(ContextProvided)
    assert 'They say "fine", but their brows are drawn together.' in hint.text
    (heard,) = outcome.of(ParticipantHeard)
    assert heard.turn == 1 and heard.mismatch


def test_a_mismatch_is_taken_up_once_and_a_neutral_turn_never() -> None:
    """How the words were said, and how to answer, stands behind them."""
    script, participant = Script(), Participant(settings())
    show(script, participant, PLAIN, 0.0, 4.0)
    show(script, participant, replace(PLAIN, furrowed=0.8), 4.0, 16.0)
    show(script, participant, PLAIN, 16.0, 30.0)
    for at_s in (1.0, 6.0, 12.0, 20.0):
        script.user_says(at_s, "yes that is fine")
    llm = FakeLlm(["Good."] * 4)
    outcome = script.play(llm, capabilities=Capabilities([participant], perceiver=participant))
    hints = [note.text for note in outcome.of(ContextProvided) if note.source == "perception_hint"]
    assert ["Begin your answer" in hint for hint in hints] == [True, False]
    given = [messages for messages in llm.asked if messages[-1].role == "system"]
    assert [messages[-1].content for messages in given] == hints
    (*_, state, words, hint) = given[0]
    assert "drawing their brows together" in state.content
    assert 'They say "fine"' in hint.content
    assert words.role == "user" and words.content == "yes that is fine"
    assert 'Begin your answer with "You look unsure."' in hint.content
    assert [heard.turn for heard in outcome.of(ParticipantHeard) if heard.mismatch] == [2, 3]


class Judging(FakeLlm):
    """A model that finds every turn complete with one probability."""

    def __init__(self, probability: float) -> None:
        super().__init__(["Well."])
        self.probability = probability

    async def completeness(self, messages: Sequence[Message], text: str) -> float:
        return self.probability


def silence_ms(words: str, *sights: tuple[Sight, float, float], completeness: float = 0.3) -> float:
    """After how much silence the floor passes when the camera shows these sights, from one time to another
    beside the end of the words."""
    script, participant = Script(), Participant(settings())
    end_s = script.user_says(2.0, words)
    for sight, start_s, end in sights:
        show(script, participant, sight, end_s + start_s, end_s + end)
    outcome = script.play(
        Judging(completeness), capabilities=Capabilities([participant], perceiver=participant)
    )
    (turn,) = outcome.of(TurnCommitted)
    return turn.silence_ms


def test_turn_taking_waits_for_who_thinks_and_for_lips_that_part() -> None:
    words = "tell me about the sea"
    usual_ms = silence_ms(words, (PLAIN, -1.0, 4.0))
    aside = replace(PLAIN, look="up", look_s=1.0)
    assert silence_ms(words, (PLAIN, -1.0, 0.1), (aside, 0.1, 4.0)) > 1.2 * usual_ms
    script = Script()
    about_to_speak = replace(PLAIN, parted_s=script.user_says(2.0, words) + 0.6)
    assert silence_ms(words, (PLAIN, -1.0, 0.6), (about_to_speak, 0.6, 4.0)) > 1.2 * usual_ms


def test_eyes_that_come_back_let_the_floor_pass_sooner_where_the_words_are_likely_over() -> None:
    words = "tell me about the sea"
    back = replace(PLAIN, returned_s=Script().user_says(2.0, words) - 0.2)
    for completeness, sooner in ((0.95, True), (0.05, False)):
        usual_ms = silence_ms(words, (PLAIN, -1.0, 4.0), completeness=completeness)
        looked_back_ms = silence_ms(words, (back, -0.2, 4.0), completeness=completeness)
        assert (looked_back_ms < usual_ms) is sooner and looked_back_ms <= usual_ms


def test_what_the_model_has_read_before_the_last_word_stays_as_it_was() -> None:
    """A face that changes as the words end is told of in the next turn; words about sight are answered from
    it at once."""
    briefing = Briefing("tags")
    briefing.seen = "They are smiling."
    briefing.turn_began()
    read = briefing.note("tell me about")
    briefing.turn_paused(["hesitant"], VoiceSummary(), NO_MISMATCH)
    briefing.seen = "They are looking down."
    assert briefing.note("tell me about the sea") == read
    assert "hesitant" in briefing.hint("tell me about the sea")
    assert briefing.hint("tell me about how I look").count("looking down") == 1
    briefing.turn_resumed()
    assert "looking down" in briefing.note("tell me about the sea and")
    briefing.turn_began()
    assert briefing.note("and the land") == ""


def test_what_was_asked_about_with_the_last_words_is_told_once() -> None:
    briefing = Briefing("tags")
    briefing.seen = "They are looking down."
    briefing.screen = ScreenState(True, ("error 417",))
    briefing.turn_began()
    briefing.turn_paused([], VoiceSummary(), NO_MISMATCH)
    hint = briefing.hint("what is written on my screen")
    assert hint.count("417") == 1 and "<user_screenshare>" not in hint
    hint = briefing.hint("how do i look")
    assert hint.count("looking down") == 1 and "<user_appearance>" not in hint


def test_emotions_are_named_only_where_that_was_turned_on() -> None:
    for named in (False, True):
        script, participant = Script(), Participant(settings(emotion_recognition=named))
        show(script, participant, replace(PLAIN, smile=0.95), 0.0, 6.0)
        script.user_says(2.0, "tell me about the sea")
        outcome = script.play(
            FakeLlm(["Well."]), capabilities=Capabilities([participant], perceiver=participant)
        )
        told = "".join(each.text for each in outcome.of(ContextProvided))
        assert ("Their face looks happy." in told) is named


def test_the_old_mode_speaks_of_a_visual_scene() -> None:
    script, participant = Script(), Participant(settings(form="scene"))
    show(script, participant, replace(PLAIN, smile=0.9), 0.0, 6.0)
    script.user_says(2.0, "hello there")
    outcome = script.play(
        FakeLlm(["Hello."]), capabilities=Capabilities([participant], perceiver=participant)
    )
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
        outcome = script.play(
            FakeLlm(["No."]), capabilities=Capabilities([participant], perceiver=participant)
        )
        assert outcome.of(TurnCommitted)
        assert [note.text for note in outcome.of(ContextProvided) if note.source == "perception"] == [
            f"<user_appearance>{words}</user_appearance>"
        ]


def test_without_a_camera_the_conversation_goes_on_and_says_so_when_asked() -> None:
    for words, told in (("can you see me", True), ("tell me about the sea", False)):
        script, participant = Script(), Participant(settings())
        script.user_says(2.0, words)
        outcome = script.play(
            FakeLlm(["No."]), capabilities=Capabilities([participant], perceiver=participant)
        )
        assert outcome.of(TurnCommitted)
        assert ["can't see them" in note.text for note in outcome.of(ContextProvided)] == [True] * told


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
        outcome = script.play(
            FakeLlm(["Well."]), capabilities=Capabilities([participant], perceiver=participant)
        )
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


def test_silence_and_a_voice_of_8_khz_are_no_faults() -> None:
    """Sound of telephones has nothing above 4 kHz; silence has nothing at all."""
    script, participant = Script(), Participant(PerceptionSettings(sees=False))
    end_s = script.user_says(1.0, "tell me about the sea")
    outcome = script.play(FakeLlm(["Well."]), capabilities=Capabilities([participant], perceiver=participant))
    (heard,) = outcome.of(ParticipantHeard)
    assert end_s > 1.0 and heard.mismatch == ""


def tool(name: str, condition: str, **properties: object) -> PerceptionTool:
    return PerceptionTool(name, condition, {"type": "object", "properties": properties})


def judging(answers: dict[str, object]) -> FakeLlm:
    """A model that answers a question beside the conversation by the properties it is asked for."""

    def structured(messages: object, schema: Any) -> dict[str, Any]:
        return {name: answers[name] for name in schema["properties"] if name in answers}

    return FakeLlm(["Well."], structured=structured)


def test_a_visual_tool_is_called_once_with_its_frame() -> None:
    vision = AwarenessSettings(
        "vision", ("Do they smile?",), (tool("cheer", "Called when they smile.", why={"type": "string"}),)
    )
    script, participant = Script(), Participant(settings(vision=vision))
    picture = np.full((48, 64, 3), 120, np.uint8)
    for tenth in range(200):
        t_s, smile = tenth / 10, 0.9 if tenth % 100 < 50 else 0.0
        script.app_does(
            t_s,
            lambda _, t_s=t_s, smile=smile: participant.saw(replace(PLAIN, t_s=t_s, smile=smile), picture),
        )
    script.user_says(21.0, "goodbye")
    llm = judging({"q1": "Yes, they smile.", "tool": "cheer", "why": "a smile"})
    outcome = script.play(llm, capabilities=Capabilities([participant], perceiver=participant))
    (call,) = outcome.of(PerceptionToolCalled)
    assert (call.name, call.modality, call.arguments) == ("cheer", "vision", {"why": "a smile"})
    assert call.frames[0][:2] == b"\xff\xd8"
    assert "frames" not in call.to_json()
    (answer,) = outcome.of(AwarenessAnswered)
    assert (answer.query, answer.answer) == ("Do they smile?", "Yes, they smile.")
    messages = Interactions("c1").read(call)
    (message,) = [each for each in messages if each["event_type"] == "conversation.perception_tool_call"]
    assert message["properties"]["frames"][0]["mime_type"] == "image/jpeg"
    assert message["properties"]["arguments"] == {"why": "a smile"}


def test_thirty_minutes_of_a_neutral_face_call_no_tool() -> None:
    asked: list[object] = []
    vision = AwarenessSettings("vision", (), (tool("cheer", "Called when they smile."),))
    script, participant = Script(), Participant(settings(vision=vision))
    for second in range(1800):
        script.app_does(float(second), lambda _, t_s=float(second): participant.saw(replace(PLAIN, t_s=t_s)))
    script.user_says(1799.0, "goodbye")

    def structured(messages: object, schema: object) -> dict[str, Any]:
        asked.append(messages)
        return {"tool": "cheer"}

    llm = FakeLlm(["Well."], structured=structured)
    outcome = script.play(llm, capabilities=Capabilities([participant], perceiver=participant))
    assert not outcome.of(PerceptionToolCalled) and not asked


def test_a_shared_screen_is_told_when_it_is_new_and_when_somebody_asks() -> None:
    script, participant = Script(), Participant(settings())
    screen = ScreenState(True, ("Quarterly results", "Revenue rose to 4.2 million"))
    show(script, participant, PLAIN, 0.0, 20.0)
    script.app_does(1.0, lambda _: participant.saw_screen(screen))
    script.user_says(2.0, "let us begin")
    script.user_says(8.0, "how are you")
    script.user_says(14.0, "please read the slide")
    llm = FakeLlm(["Well."] * 3)
    outcome = script.play(llm, capabilities=Capabilities([participant], perceiver=participant))
    told = [(note.source, "Revenue rose to 4.2 million" in note.text) for note in outcome.of(ContextProvided)]
    assert told == [("perception", True), ("perception", True), ("perception_hint", True)]
    assert [read.text for read in outcome.of(ScreenRead)] == [
        "Quarterly results\nRevenue rose to 4.2 million"
    ]


async def test_a_small_model_is_asked_only_of_tools_whose_condition_is_near() -> None:
    """It finds nearly every condition fulfilled."""
    tools = (tool("cheer", "Called when they smile."), tool("greet", "Called when somebody comes in."))
    asked: list[str] = []

    def nearness(conditions: Sequence[str], parts: Sequence[str]) -> list[list[float]]:
        return [[0.5 if "smil" in a and "smil" in b else 0.1 for b in parts] for a in conditions]

    def structured(messages: Any, schema: Any) -> dict[str, Any]:
        asked.append(messages[-1].content)
        return {"tool": "cheer"}

    llm = FakeLlm(structured=structured, structured_s=0.0)
    awareness = Awareness(AwarenessSettings("vision", (), tools), llm, nearness)
    assert (await awareness.judge("They are looking at you and raising their brows.")).tool == "" and not asked
    assert (await awareness.judge("They are looking at you and smiling.")).tool == "cheer"
    assert "greet" not in asked[0]
