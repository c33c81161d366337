"""Objectives: the machine alone, values that were said, and whole conversations with a form-filling fake."""

import asyncio

import pytest

from cvi.bench.policy import Alone
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import (
    ContextProvided,
    ObjectiveActivated,
    ObjectiveCompleted,
    ObjectivePending,
    ObjectiveResults,
    ObjectiveUpdated,
    TurnTyped,
)
from cvi.persona.policy import Objective
from cvi.persona.schema import Persona
from cvi.policy.answer_kinds import settled
from cvi.policy.objective_tracker import ObjectiveTracker
from cvi.policy.objectives import ObjectiveMachine
from cvi.policy.said_values import said_value
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script


def goal(name, *variables, **fields):
    prompt = fields.pop("prompt", f"Find out {name}.")
    return Objective(objective_name=name, objective_prompt=prompt, output_variables=list(variables), **fields)


def hold(goals, turns, form, replies=("I see.",)):
    tracker = ObjectiveTracker(goals)
    script = Script()
    at = 0.5
    for words in turns:
        at = script.user_says(at, words) + 6.0
    script.app_does(at, lambda conversation: None)
    llm = FakeLlm(replies, structured=form)
    return script.play(llm, capabilities=Capabilities([tracker], observers=[tracker]))


# -- the machine ----------------------------------------------------------------------------------


def test_without_followers_the_order_of_the_list_holds():
    machine = ObjectiveMachine([goal("a", "x"), goal("b")])
    assert machine.current.name == "a"
    machine.fill({"x": "1", "unknown": "2"})
    assert machine.current.missing == []
    assert machine.complete().name == "b"
    assert machine.complete() is None
    assert [each["status"] for each in machine.results()] == ["completed", "completed"]


def test_values_told_early_wait_for_their_objective():
    machine = ObjectiveMachine([goal("a", "x"), goal("b", "y")])
    machine.fill({"y": "2"})
    machine.fill({"x": "1"})
    assert machine.complete().missing == []


def test_a_condition_decides_what_follows():
    ways = {"adult": "They are of age.", "minor": "They are not."}
    machine = ObjectiveMachine([goal("age", next_conditional_objectives=ways), goal("adult"), goal("minor")])
    assert machine.complete("minor").name == "minor"
    assert {each.name: each.state for each in machine.progress} == {
        "age": "completed",
        "adult": "skipped",
        "minor": "active",
    }


# -- malformed sets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"a": "b", "b": "c", "c": "a"}, "circle: a -> b -> c -> a"),
        ({"a": "b", "c": "d"}, "nothing leads to 'a' and 'c'"),
        ({"a": "nowhere"}, "no objective named 'nowhere'"),
        ({"a": "a"}, "follows itself"),
    ],
)
def test_malformed_sets_are_refused(links, message):
    goals = [
        {"objective_name": name, "objective_prompt": "Ask.", "next_required_objective": links.get(name)}
        for name in "abcd"[: max(len(links), 2) if "d" not in links.values() else 4]
    ]
    with pytest.raises(ValueError, match=message):
        Persona(persona_name="P", system_prompt="You are P.", objectives=goals)


def test_a_set_may_loop_where_that_is_asked_for():
    goals = [
        {"objective_name": one, "objective_prompt": "Ask.", "next_required_objective": other}
        for one, other in ("ab", "ba")
    ]
    Persona(persona_name="P", system_prompt="You are P.", objectives=goals, objectives_may_loop=True)


# -- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said", "kept"),
    [
        ("Anna Berg", "hi my name is anna berg", "Anna Berg"),
        ("35", "i am thirty five", "35"),
        ("1984", "in nineteen eighty four", "1984"),
        ("May 5", "on the fifth of may", "May 5"),
        ("200", "about two hundred euros", "200"),
        ("anna@example.com", "it's anna at example dot com", "anna@example.com"),
        ("5509", "five five zero nine", "5509"),
        ("Anna", "i'd rather not say", ""),
        ("I'd rather not say", "i'd rather not say", ""),
        ("unknown", "that is unknown to me", ""),
        ("John Smith", "my name is anna", ""),
        ("John Smith", "my name is john", ""),
        ("left knee hurts", "it's my left knee it has been hurting", "left knee hurts"),
        ("screen flickers badly", "the screen flickers", "screen flickers"),
        ("red and green light", "a red light", ""),
        ("that doesn't matter", "that doesn't matter", ""),
        ("hard to pick one thing", "hard to pick one thing", ""),
        ("the one i called about", "the one i called about", ""),
        (
            "the shower was cold on two mornings that was a pity but still it was a nice week for us",
            "the shower was cold on two mornings that was a pity but still it was a nice week for us",
            "the shower was cold on two mornings that was a pity",
        ),
        ("you should have that", "you should have that", ""),
        ("does that change the price", "does that change the price", ""),
        ("", "anna", ""),
        (None, "anna", ""),
    ],
)
def test_only_what_was_said_is_a_value(value, said, kept):
    assert said_value(value, said) == kept


def test_one_answer_is_the_value_of_one_variable():
    taken = {"problem": "for two weeks", "since_when": "for two weeks"}
    said = "for two weeks"
    assert settled(taken, ["problem", "since_when"], "Since when?", said) == {"since_when": "two weeks"}


def test_a_question_for_one_of_two_alike_is_not_for_the_other():
    numbers = ["policy_number", "phone_number"]
    assert settled({}, numbers, "What is your policy number?", "six one eight") == {"policy_number": "six one eight"}
    assert settled({}, numbers, "And your phone number?", "six one eight") == {"phone_number": "six one eight"}
    cities = ["from_city", "to_city"]
    assert settled({"to_city": "York"}, cities, "From which city do you move?", "york") == {"from_city": "york"}


# -- conversations --------------------------------------------------------------------------------


def form(**known):
    """Fills in what the words hold, and invents a colour for everybody."""

    def fill(messages, schema):
        said = messages[-1].content.split("They said:")[-1]
        values = {name: value for name, value in known.items() if value in said}
        return {name: values.get(name, "purple") for name in schema["properties"]}

    return fill


def test_an_interview_fills_its_variables_and_invents_none():
    goals = [goal("person", "name", "colour"), goal("place", "city")]
    turns = ["my name is anna", "i live in oslo", "blue is my colour"]
    outcome = hold(goals, turns, form(name="anna", city="oslo", colour="blue"))
    assert [event.objective for event in outcome.of(ObjectiveActivated)] == ["person", "place"]
    assert [(event.objective, event.output_variables) for event in outcome.of(ObjectiveCompleted)] == [
        ("person", {"name": "anna", "colour": "blue"}),
        ("place", {"city": "oslo"}),
    ]
    assert outcome.of(ObjectiveUpdated)[0].output_variables == {"name": "anna"}
    (results,) = outcome.of(ObjectiveResults)
    assert [each["status"] for each in results.results] == ["completed", "completed"]


def test_the_persona_is_led_to_what_is_open():
    outcome = hold([goal("person", "name", "colour")], ["my name is anna", "well"], form(name="anna"))
    notes = [event.text for event in outcome.of(ContextProvided)]
    assert "Still unknown: name, colour." in notes[0]
    assert "Still unknown: colour." in notes[-1] and "name: anna" in notes[-1]


def test_what_is_open_is_read_before_the_participant_speaks_again():
    read = []

    class Reads(FakeLlm):
        async def prefill(self, messages, partial):
            read.append(("Still unknown: colour." in messages[-1].content, partial))

    tracker = ObjectiveTracker([goal("person", "name", "colour")])
    script = Script()
    script.user_says(script.user_says(0.5, "my name is anna") + 6.0, "blue is nice")
    capabilities = Capabilities([tracker], observers=[tracker])
    script.play(Reads(structured=form(name="anna")), capabilities=capabilities)
    ahead = read.index((True, ""))
    assert ahead < next(index for index, (_, partial) in enumerate(read) if partial.startswith("blue"))


def test_the_form_is_never_filled_in_before_the_reply():
    outcome = hold([goal("person", "name")], ["my name is anna"], form(name="anna"))
    written = next(event.seq for event in outcome.events if event.type == "reply_first_audio")
    assert outcome.of(ObjectiveUpdated)[0].seq > written


def test_a_manual_objective_waits_for_the_participants_yes():
    goals = [goal("person", "name", confirmation_mode="manual")]
    outcome = hold(goals, ["my name is anna", "yes that's right"], form(name="anna"))
    assert [event.objective for event in outcome.of(ObjectivePending)] == ["person"]
    (done,) = outcome.of(ObjectiveCompleted)
    assert done.confirmed_by == "participant"
    assert "ask whether that is right" in outcome.of(ContextProvided)[-1].text


def test_a_correction_reopens_and_changes_it():
    goals = [goal("person", "name", confirmation_mode="manual")]
    turns = ["my name is anna", "no it is berta", "yes"]

    def fill(messages, schema):
        said = messages[-1].content.split("They said:")[-1]
        return {"name": "berta" if "berta" in said else "anna" if "anna" in said else ""}

    outcome = hold(goals, turns, fill)
    (done,) = outcome.of(ObjectiveCompleted)
    assert done.output_variables == {"name": "berta"}


def test_a_negation_about_something_else_changes_nothing_that_is_known():
    """Only what is denied by its own words, or taken back, may change."""
    turns = ["my ear hurts", "i can't have eggs", "no it is my nose"]

    def fill(messages, schema):
        said = messages[-1].content.split("They said:")[-1]
        told = {"ear": "ear hurts", "eggs": "eggs", "nose": "nose"}
        value = next(value for word, value in told.items() if word in said)
        return dict.fromkeys(schema["properties"], value)

    outcome = hold([goal("case", "complaint"), goal("more", "wish", "name")], turns, fill)
    found = [event.output_variables for event in outcome.of(ObjectiveUpdated) if event.objective == "case"]
    assert found == [{"complaint": "ear hurts"}]


class _FormsAfter(FakeLlm):
    """Fills in its first form once `free` is set."""

    def __init__(self, form):
        super().__init__(structured=form)
        self.free = asyncio.Event()
        self.prompts = []

    async def structured(self, messages, schema, *, max_tokens=256):
        self.prompts.append(messages[-1].content)
        await self.free.wait()
        return await super().structured(messages, schema, max_tokens=max_tokens)


def test_turns_that_wait_for_a_busy_model_are_taken_down_by_one_form():
    """A model that gets no time between the turns is not left behind by one form a turn."""

    async def hold_turns():
        llm = _FormsAfter(lambda messages, schema: dict.fromkeys(schema["properties"], "") | {
            name: value
            for name, value in {"name": "anna", "city": "oslo", "age": "forty two"}.items()
            if value in messages[-1].content and name in schema["properties"]
        })
        tracker = ObjectiveTracker([goal("person", "name", "city", "age"), goal("wish", "colour")])
        tracker.attach(Alone(llm))
        turns = ["hello", "my name is anna", "i live in oslo", "i am forty two", "i like green"]
        for number, said in enumerate(turns, 1):
            tracker.on_event(TurnTyped(turn=number, reply=number, text=said))
            await asyncio.sleep(0)
        llm.free.set()
        await tracker.close()
        return llm.prompts, tracker.found

    prompts, found = asyncio.run(hold_turns())
    assert len(prompts) == 2
    assert prompts[1].count("They said:") == 4
    assert found == {"name": "anna", "city": "oslo", "age": "forty two"}


def test_conditions_are_chosen_by_the_model():
    ways = {"adult": "They are of age.", "minor": "They are not."}
    goals = [goal("age", "years", next_conditional_objectives=ways), goal("adult"), goal("minor")]

    def fill(messages, schema):
        properties = schema["properties"]
        return {"so": "minor"} if "so" in properties else {"years": "twelve", "reached": False}

    outcome = hold(goals, ["i am twelve"], fill)
    assert [event.objective for event in outcome.of(ObjectiveActivated)] == ["age", "minor"]


# -- kinds of answers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "taken", "asked", "said", "kept"),
    [
        ("time", "good evening", "How can I help?", "good evening we would like a table", ""),
        ("time", "", "When?", "let us say half past seven", "half past seven"),
        ("day", "maybe friday i have to see", "Which day?", "maybe friday i have to see", "friday"),
        ("day", "last month", "Hello?", "i was with you last month", ""),
        ("phone_number", "", "Anything else?", "call me on five five zero one nine", "five five zero one nine"),
        ("order_number", "no idea", "The order number?", "it got lost", ""),
        ("contact_email", "it", "Your email?", "it is anna at example dot com", "anna at example dot com"),
        ("number_of_nights", "", "How many nights?", "two", "two"),
        ("number_of_nights", "", "What brings you here?", "two colleagues told me about you", ""),
        ("salary_wish", "what you pay", "What would you like to earn?", "what you pay others", ""),
        ("since_when", "the flood", "Since when?", "since the flood", "the flood"),
        ("when_it_happened", "last night", "When did it happen?", "last night", "last night"),
        ("when_it_happened", "", "What happened?", "the window broke yesterday", "yesterday"),
        ("what_happened", "broken window", "What happened?", "broken window", "broken window"),
        ("preferred_day", "thursdays", "Which day?", "thursdays are good", "thursdays"),
        ("damage_amount", "", "What was it worth?", "about nine hundred euros", "nine hundred euros"),
        ("damage_amount", "", "Hello?", "it cost me ninety dollars", "ninety dollars"),
        ("damage_amount", "", "Hello?", "my ninety year old aunt called", ""),
        ("strength_from_zero_to_ten", "4", "From zero to ten?", "a four first but now it is a seven", "seven"),
        ("allergies", "", "Do you have allergies?", "nuts", "nuts"),
        ("allergies", "", "What brings you here?", "nuts", ""),
        ("allergies", "", "Do you have allergies?", "don't know", ""),
    ],
)
def test_an_answer_is_of_its_variables_kind(variable, taken, asked, said, kept):
    assert settled({variable: taken}, [variable], asked, said).get(variable, "") == kept


def test_what_could_be_either_of_two_variables_goes_to_the_one_asked_for():
    both = ["phone_number", "order_number"]
    said = "seven one four two"
    assert settled({}, both, "And the order?", said) == {"order_number": said}
    assert settled({}, both, "Go on.", said) == {}


def test_an_answer_that_the_model_rewords_is_taken_down_as_it_was_said():
    said = "a supplier offers me two tickets for a football match"
    asked = "Which situation at work shall we talk about today?"
    assert settled({}, ["situation"], asked, said, reworded=["situation"]) == {"situation": said}
    assert settled({}, ["situation"], asked, said) == {}
    assert settled({}, ["situation"], "Hello.", said, reworded=["situation"]) == {}


def test_long_runs_of_digits_take_no_time():
    said = "1" * 4000 + "x " + "seven " * 400
    assert settled({}, ["phone_number", "age", "time", "contact_email"], "Your number?", said) is not None
