"""Disclosure: what is said, what is shown, what the policy `eu` changes."""

from types import SimpleNamespace

import pytest

from cvi.conversation.events import DisclosureGiven, ReplyFinished
from cvi.conversation.settings import ConversationSettings
from cvi.persona.schema import Persona
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script


def persona(**fields):
    return Persona(persona_name="P", system_prompt="You are P.", **fields)


def test_nothing_is_disclosed_unless_it_is_asked_for():
    told = persona().disclosure
    assert (told.verbal, told.visual) == ("", "")


@pytest.mark.parametrize(
    ("fields", "verbal", "visual"),
    [
        ({"disclosure_type": "verbal"}, "I'm an AI", ""),
        ({"disclosure_type": "visual", "language": "german"}, "", "KI"),
        ({"verbal_disclosure": "I am software."}, "I am software.", ""),
        ({"visual_disclosure": True}, "", "an AI"),
        ({"policy": "eu", "disclosure_type": "none"}, "I'm an AI", "an AI"),
    ],
)
def test_what_is_told(fields, verbal, visual):
    told = persona(**fields).disclosure
    assert (verbal in told.verbal, bool(told.verbal)) == (True, bool(verbal))
    assert (visual in told.visual, bool(told.visual)) == (True, bool(visual))


def test_the_policy_turns_emotion_recognition_off():
    assert persona(emotion_recognition=True).emotion_recognition
    assert not persona(emotion_recognition=True, policy="eu").emotion_recognition


def test_it_is_spoken_before_the_greeting_and_written_down():
    from cvi.engines import conversation_settings

    who = persona(policy="eu", greeting="Hello there.")
    config = SimpleNamespace(persona=who, small_model=False, language="en", facts=lambda: None)
    made = conversation_settings(config, "c1")
    assert made.greeting.endswith("Hello there.") and made.greeting.startswith(who.disclosure.verbal)
    assert not made.greeting_interruptible
    settings = ConversationSettings("c1", "", greeting=made.greeting, disclosures=made.disclosures)
    script = Script()
    script.app_does(8.0, lambda conversation: None)
    outcome = script.play(FakeLlm(), settings=settings)
    assert outcome.of(ReplyFinished)[0].text.startswith(who.disclosure.verbal)
    assert [(e.kind, e.policy) for e in outcome.of(DisclosureGiven)] == [("verbal", "eu"), ("visual", "eu")]
