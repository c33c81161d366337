"""What a reply says must stand in the passages that the model was given: sentence by sentence, and in a
conversation."""

import pytest

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import GuardrailTriggered, ReplyFinished
from cvi.embeddings.shared import shared_embedder
from cvi.knowledge.notes import NOTHING
from cvi.policy.checks import Checks
from cvi.policy.grounding import Ground, Grounding
from cvi.policy.guard import ConversationGuard
from cvi.policy.support import WordEvidence, WordWeights, numbers
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script

BIKES = (
    "[bike rental, page 2, Prices]\nCity bike 15 euros a day, 70 euros a week. Electric bike 32 euros a day. "
    "Child seat 4 euros a day, helmet free of charge. A full battery lasts for about 80 kilometres."
)
UNKNOWN = "My documents do not say."


def ground(passages, asked, **more):
    return Ground(passages, asked, WordWeights(shared_embedder().information), **more)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("What does a city bike cost for a week?", "A city bike costs 70 euros a week, see page 2."),
        ("What does a city bike cost for a week?", "It is seventy euros."),
        ("Is a helmet included?", "Yes, a helmet is free of charge."),
        ("What do 3 days with a city bike cost?", "Three days with a city bike cost 45 euros."),
        ("Can I rent a tandem?", "The documents don't mention tandems."),
        ("Can I rent a tandem?", "I'm not sure about that."),
        ("I need it for 3 weeks, is that possible?", "So you need it for 3 weeks?"),
        ("How far does a battery take me?", "A full battery lasts for about 80 kilometres."),
    ],
)
def test_what_stands_in_the_passages_may_be_said(asked, answer):
    assert ground(BIKES, asked).fault(answer) == ""


@pytest.mark.parametrize(
    ("asked", "answer", "fault"),
    [
        ("What does a city bike cost for a week?", "A city bike costs 75 euros a week.", "number 75"),
        ("Do you sell used bicycles?", "Yes, we do sell used bicycles.", "support "),
        ("Who rents the bikes out?", "The city bikes are rented out by Anna.", "name anna"),
        ("Are dogs insured?", "No, dogs are not insured.", "support "),
        ("Tell me of it.", "The mountain trail passes several castles.", "support "),
    ],
)
def test_what_stands_nowhere_may_not(asked, answer, fault):
    assert ground(BIKES, asked).fault(answer).startswith(fault)


def test_where_the_documents_hold_nothing_no_answer_is_given_but_talk_goes_on():
    asked = "Can I rent a tandem?"
    assert ground("", asked).fault("Yes, you can rent a tandem.")
    assert ground("", asked).fault("No.")
    assert ground("", asked).fault("I'm sorry, but I can't assist with that.")
    assert not ground("", asked).fault("I don't know whether you can rent a tandem.")
    assert not ground("", "I had a long day at work.").fault("I hope you can rest after your long day.")
    assert not ground("", "How are you today?").fault("I'm doing well, thank you.")
    assert not ground("", "What's your name?", known="You are Ada.").fault("My name is Ada.")


def test_what_the_persona_knows_otherwise_may_be_said():
    assert ground(BIKES, "Are you open?", known="Anna's shop opens at 9.").fault("Anna opens at 9.") == ""


def test_other_languages_are_checked_too():
    asked, german = "Was kostet es?", "Das Rad ist für Kinder und kostet 15 Euro mit Helm."
    assert not ground(german, asked, capitals=False).fault("Es kostet 15 Euro.")
    assert ground(german, asked, capitals=False).fault("Es kostet 16 Euro.") == "number 16"
    insured = "Sind Hunde versichert?"
    assert ground(german, insured, capitals=False).fault("Ja, Hunde sind versichert.").startswith("support")


def test_a_greeting_by_a_name_that_was_said_is_no_assertion():
    weights = WordWeights(shared_embedder().information)
    told = Ground(BIKES, "Do you have tandems?", weights, before="Hello, I'm Anna.")
    assert told.fault("Hi Anna!") == ""
    assert told.fault("Hi Berta!") == "name berta"
    assert told.fault("No, Anna.") and told.fault("Tandems, Anna.")


def test_in_another_language_than_the_passages_numbers_alone_are_looked_at():
    german = "Das Rad ist für Kinder und kostet 15 Euro mit Helm. Der Verleih ist am Montag nicht offen."
    assert not ground(german, "Which bikes are there?").fault("There are bikes for children.")
    assert ground(german, "Which bikes are there?").fault("There are 30 of them.") == "number 30"


def test_words_weigh_what_they_tell():
    weights = WordWeights(shared_embedder().information)
    content = weights.content("The helmets are not of the die nicht")
    assert content["helmets"] == 1.0 and not content.keys() & {"the", "not", "of", "die", "nicht"}
    figures = WordEvidence(weights, BIKES, "Is a helmet included?").figures("A helmet is free of charge.")
    assert figures["nowhere"] == figures["only_asked"] == 0 and figures["told"] > 0


def test_numbers_are_compared_in_digits():
    assert numbers("2,500 euros at 10:00, twenty-five, 4.90 or 129.00, one") >= {
        "2500",
        "10",
        "25",
        "4.90",
        "129",
    }


class Told:
    name = "knowledge"

    def __init__(self, note, quote=""):
        self._note, self._quote = note, quote

    def follow(self, partial):
        pass

    def note(self, text):
        return self._note

    def used(self, text):
        return []

    def quote(self, text):
        return self._quote

    def committed(self, text):
        pass

    def is_ready(self, text):
        return True

    async def ready(self, text):
        pass


def talk(note, reply, asked="do you sell used bicycles", quote=""):
    grounding = Grounding("You are Ada.", WordWeights(shared_embedder().information))
    checks = Checks([], shared_embedder("minilm"))
    guard = ConversationGuard(
        checks, grounding=grounding, said_instead=("They say:", UNKNOWN), virtual_time=True
    )
    script = Script()
    script.user_says(0.5, asked)
    return script.play(
        FakeLlm([reply]), capabilities=Capabilities([Told(note, quote)], guard=guard, observers=(guard,))
    )


def test_an_answer_without_ground_is_not_heard():
    outcome = talk(BIKES, "Yes, we do sell used bicycles. They are cheap.")
    assert [event.text for event in outcome.of(ReplyFinished)] == [UNKNOWN]
    (event,) = outcome.of(GuardrailTriggered)
    assert (event.guardrail, event.by, event.action) == ("grounding", "documents", "refuse")


@pytest.mark.parametrize("reply", ["The documents do not say so.", "Yes, you pay extra for a helmet."])
def test_the_sentence_that_most_likely_answers_is_said_instead(reply):
    quote = "Child seat 4 euros a day, helmet free of charge."
    outcome = talk(BIKES, reply, "do i pay extra for the insurance of a helmet", quote)
    assert [e.text for e in outcome.of(ReplyFinished)] == [
        "They say: Child seat 4 euros a day, helmet free of charge."
    ]


def test_an_answer_to_what_no_document_holds_is_not_heard():
    assert [event.text for event in talk(NOTHING, "Yes, we do.").of(ReplyFinished)] == [UNKNOWN]


def test_an_answer_ends_before_its_first_sentence_without_ground():
    outcome = talk(
        BIKES, "A city bike costs 15 euros a day. A used one costs 99 euros.", "what does a city bike cost"
    )
    assert [event.text for event in outcome.of(ReplyFinished)] == ["A city bike costs 15 euros a day."]


def test_nothing_is_heard_of_a_sentence_that_loses_its_ground_in_the_middle():
    outcome = talk(BIKES, "A city bike costs, for a whole day, 99 euros.", "what does a city bike cost")
    assert [event.text for event in outcome.of(ReplyFinished)] == [UNKNOWN]


def test_without_documents_in_the_prompt_nothing_is_checked():
    assert [event.text for event in talk("", "Yes, for 99 euros.").of(ReplyFinished)] == [
        "Yes, for 99 euros."
    ]
