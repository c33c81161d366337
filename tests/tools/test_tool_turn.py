"""Replies that call tools, scripted in virtual time."""

import pytest

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import (
    ContextAppended,
    DraftDiscarded,
    DraftStarted,
    EngineFailed,
    HumanRequested,
    ReplyBridged,
    ReplyCommitted,
    ReplyFinished,
    ReplyFirstAudio,
    ReplyInterrupted,
    ToolBridged,
    ToolCalled,
    ToolCancelled,
    ToolFailed,
    ToolResolved,
    ToolReused,
    ToolWeighed,
    TurnReopened,
)
from cvi.conversation.tool_calls import tool_calls
from cvi.embeddings.shared import shared_embedder
from cvi.errors import UsageError
from cvi.persona.policy import Guardrail
from cvi.policy.checks import Checks
from cvi.policy.guard import ConversationGuard
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script
from cvi.testing.tools import FakeDecision, FakeDelivery, fake_tool, fake_toolbox
from cvi.tools.base import Toolbox, ToolError, Weighed
from cvi.tools.builtin import end_call, hand_over
from cvi.tools.client import ClientDelivery

OSLO = {"what": "oslo"}


def weather(text):
    return [("weather", OSLO)] if "weather" in text else []


def play(script, tools, calls=weather, llm=None, client=None, delay_s=0.01, **options):
    capabilities = Capabilities(toolbox=fake_toolbox(tools, calls, client, delay_s))
    return script.play(llm or FakeLlm(answers), capabilities=capabilities, **options)


def answers(messages):
    """A model that says what it was told of the tools."""
    notes = " ".join(m.content for m in messages if m.role == "system" and ("The tool" in m.content or "looked up" in m.content))
    if "failed" in notes:
        return "Sorry, that did not work."
    if "<answer>" in notes:
        return "It rains there, take a coat."
    if "longer" in notes:
        return "It takes longer, I will tell you."
    return "I do that." if notes else "Just talking."


def test_a_call_is_answered_in_the_models_words():
    delivery = FakeDelivery({"weather": "rain"}, delay_s=0.3)
    script = Script()
    script.user_says(0.5, "tell me the weather")
    outcome = play(script, [fake_tool("weather", delivery)])
    (called,) = outcome.of(ToolCalled)
    assert (called.name, called.arguments, called.delivery) == ("weather", OSLO, "api")
    assert outcome.of(ToolResolved)[0].output == '{"weather": "rain"}'
    assert outcome.of(ReplyFinished)[-1].text == "It rains there, take a coat."
    assert not any("<answer>" in message.content for message in outcome.history)
    assert not outcome.of(ToolBridged) and delivery.closed


def test_a_turn_without_a_call_is_answered_as_always():
    delivery = FakeDelivery()
    script = Script()
    script.user_says(0.5, "how are you today")
    outcome = play(script, [fake_tool("weather", delivery)])
    assert outcome.of(ReplyFinished)[-1].text == "Just talking."
    assert not delivery.calls and not outcome.of(ToolCalled)


def test_what_a_tool_lacks_is_asked_for():
    class Lacking(FakeDecision):
        async def decide(self, llm, history, text):
            return Weighed("weather", 0.5, 0.9, 0.9, lacking={"weather": ["city_name"]})

    def model(messages):
        return "Which city?" if "have not said the city name" in messages[-2].content else "No."

    delivery = FakeDelivery()
    script = Script()
    script.user_says(0.5, "tell me the weather")
    toolbox = Toolbox((fake_tool("weather", delivery),), Lacking(weather))
    outcome = script.play(FakeLlm(model), capabilities=Capabilities(toolbox=toolbox))
    assert outcome.of(ReplyFinished)[-1].text == "Which city?" and not delivery.calls
    assert outcome.of(ToolWeighed)[-1].lacking == ["weather.city_name"]


def test_a_draft_changes_nothing_before_the_turn_is_over():
    delivery = FakeDelivery()
    script = Script()
    script.user_says(0.5, "tell me the weather")
    outcome = play(script, [fake_tool("weather", delivery)])
    assert outcome.of(DraftStarted), "the script must draft"
    assert outcome.of(ToolCalled)[0].seq > outcome.of(ReplyCommitted)[-1].seq
    assert len(delivery.calls) == 1


def test_a_discarded_draft_never_calls():
    delivery = FakeDelivery()
    script = Script()
    script.user_says(0.5, "order the weather ... no please just talk")
    outcome = play(script, [fake_tool("weather", delivery)], calls=lambda text: weather(text) if "no" not in text else [])
    assert [event.reason for event in outcome.of(DraftDiscarded)] == ["resumed"]
    assert not delivery.calls


def test_a_read_only_tool_may_be_called_for_a_draft_and_once():
    delivery = FakeDelivery({"weather": "rain"}, delay_s=0.05)
    script = Script()
    script.user_says(0.5, "tell me the weather ... please")
    outcome = play(script, [fake_tool("weather", delivery, read_only=True)])
    assert outcome.of(DraftDiscarded)
    assert len(delivery.calls) == 1, "the second draft joins the first one's call"
    assert outcome.of(ToolReused) and outcome.of(ToolCalled)[0].seq < outcome.of(ReplyCommitted)[-1].seq
    assert outcome.of(ReplyFinished)[-1].text == "It rains there, take a coat."


@pytest.mark.parametrize(
    ("declared", "bridged"),
    [
        ({"on_call": "static_filler", "static_filler": "Let me look."}, "Let me look."),
        ({"on_call": "static_filler"}, "One moment, please."),
        ({"on_call": "generate_filler"}, "I am looking."),
        ({"on_call": "silent"}, None),
    ],
)
def test_a_slow_call_is_bridged_as_declared(declared, bridged):
    def model(messages):
        return "I am looking." if "looking after it" in messages[-2].content else answers(messages)

    delivery = FakeDelivery({"weather": "rain"}, delay_s=6.0)
    script = Script()
    end_s = script.user_says(0.5, "tell me the weather")
    script.app_does(14.0, lambda conversation: None)
    outcome = play(script, [fake_tool("weather", delivery, **declared)], llm=FakeLlm(model))
    said = outcome.of(ReplyFinished)[-1].text
    if bridged is None:
        assert not outcome.of(ToolBridged) and not outcome.of(ReplyBridged)
        assert said == "It rains there, take a coat."
    else:
        assert [event.text for event in outcome.of(ToolBridged)] == [bridged]
        assert said == f"{bridged} It rains there, take a coat."
        assert outcome.of(ReplyFirstAudio)[0].at_s < end_s + 2.5


def test_a_quick_call_needs_no_bridge():
    script = Script()
    script.user_says(0.5, "tell me the weather")
    tool = fake_tool("weather", FakeDelivery("rain", delay_s=0.5), on_call="static_filler", static_filler="Let me look.")
    assert not play(script, [tool]).of(ToolBridged)


def test_several_calls_run_side_by_side():
    first, second = FakeDelivery("rain", delay_s=1.0), FakeDelivery("sent", delay_s=1.0)
    script = Script()
    script.user_says(0.5, "weather and mail please")
    script.app_does(8.0, lambda conversation: None)
    outcome = play(
        script,
        [fake_tool("weather", first), fake_tool("mail", second)],
        calls=lambda text: [("weather", OSLO), ("mail", {"what": "it"})],
    )
    one, two = outcome.of(ToolCalled)
    assert one.t == two.t and len(first.calls) == len(second.calls) == 1
    assert max(event.t for event in outcome.of(ToolResolved)) < one.t + 1.5


@pytest.mark.parametrize(
    ("on_resolve", "answer", "said", "context"),
    [
        ("response_in_result", {"response": "Seven degrees."}, "Seven degrees.", False),
        ("response_in_result", "Seven degrees.", "Seven degrees.", False),
        ("response_in_result", {"degrees": 7}, "It rains there, take a coat.", False),
        ("add_to_context", "rain", "I do that.", True),
        ("fire_and_forget", "rain", "I do that.", False),
    ],
)
def test_what_becomes_of_the_answer(on_resolve, answer, said, context):
    script = Script()
    script.user_says(0.5, "tell me the weather")
    script.app_does(9.0, lambda conversation: None)
    tool = fake_tool("weather", FakeDelivery(answer, delay_s=0.5), on_resolve=on_resolve)
    outcome = play(script, [tool])
    assert outcome.of(ReplyFinished)[-1].text == said
    assert bool(outcome.of(ContextAppended)) == context


def test_an_answer_with_markup_is_not_spoken_raw():
    script = Script()
    script.user_says(0.5, "tell me the weather")
    script.app_does(9.0, lambda conversation: None)
    answer = {"response": "**Seven** degrees. See [this](https://example.com/x)."}
    tool = fake_tool("weather", FakeDelivery(answer), on_resolve="response_in_result")
    said = play(script, [tool]).of(ReplyFinished)[-1].text
    assert "*" not in said and "http" not in said and "Seven degrees." in said


@pytest.mark.parametrize(
    "answer", [ToolError("'weather' answered with status 500."), "x" * 9_000, {"bytes": b"\0"}]
)
def test_a_call_that_fails_does_not_break_the_conversation(answer):
    script = Script()
    script.user_says(0.5, "tell me the weather")
    script.user_says(7.0, "how are you today")
    outcome = play(script, [fake_tool("weather", FakeDelivery(answer))])
    assert len(outcome.of(ToolFailed)) == 1 and not outcome.of(EngineFailed)
    texts = [event.text for event in outcome.of(ReplyFinished)]
    assert texts[-2:] == ["Sorry, that did not work.", "Just talking."]
    assert outcome.reason == "caller_over"


@pytest.mark.parametrize("on_interrupt", ["finish", "cancel"])
def test_an_interruption_lets_finish_or_cancels_as_declared(on_interrupt):
    delivery = FakeDelivery({"weather": "rain"}, delay_s=5.0)
    tool = fake_tool(
        "weather", delivery, on_call="static_filler", static_filler="Let me look that up for you now.", on_interrupt=on_interrupt
    )
    script = Script()
    end_s = script.user_says(0.5, "tell me the weather")
    script.user_says(end_s + 2.6, "wait stop please never mind that")
    script.app_does(14.0, lambda conversation: None)
    outcome = play(script, [tool])
    assert outcome.of(ReplyInterrupted)
    assert len(delivery.calls) == 1
    if on_interrupt == "cancel":
        assert delivery.cancelled == 1 and outcome.of(ToolCancelled) and not outcome.of(ToolResolved)
        assert not outcome.of(ContextAppended)
    else:
        assert delivery.cancelled == 0 and outcome.of(ToolResolved)
        assert "rain" in outcome.of(ContextAppended)[0].text


def test_a_reopened_turn_does_not_call_twice():
    delivery = FakeDelivery({"weather": "rain"}, delay_s=2.0)
    script = Script()
    end_s = script.user_says(0.5, "tell me the weather")
    script.user_says(end_s + 1.2, "please thanks")
    script.app_does(14.0, lambda conversation: None)
    outcome = play(script, [fake_tool("weather", delivery)])
    assert outcome.of(TurnReopened), "the script must reopen the turn"
    assert len(delivery.calls) == 1 and len(outcome.of(ToolCalled)) == 1
    assert outcome.of(ToolReused)
    assert outcome.of(ReplyFinished)[-1].text == "It rains there, take a coat."


def test_asking_again_after_the_answer_calls_again():
    delivery = FakeDelivery("rain")
    script = Script()
    script.user_says(0.5, "tell me the weather")
    script.user_says(8.0, "tell me the weather")
    play(script, [fake_tool("weather", delivery)])
    assert len(delivery.calls) == 2
    assert delivery.calls[0].key != delivery.calls[1].key


def test_a_call_is_not_waited_for_without_end():
    script = Script()
    script.user_says(0.5, "tell me the weather")
    script.app_does(40.0, lambda conversation: None)
    outcome = play(script, [fake_tool("weather", FakeDelivery("rain", delay_s=30.0))])
    assert outcome.of(ReplyFinished)[-1].text == "It takes longer, I will tell you."
    assert "rain" in outcome.of(ContextAppended)[0].text


def test_an_answer_after_the_end_is_one_message():
    script = Script()
    script.user_says(0.5, "tell me the weather")
    delivery = FakeDelivery("rain", delay_s=60.0)
    script.app_does(3.0, lambda conversation: conversation.end("participant_left"))
    outcome = play(script, [fake_tool("weather", delivery)])
    (failed,) = outcome.of(ToolFailed)
    assert "ended before it answered" in failed.message and delivery.cancelled == 1


def test_the_client_answers_once():
    client = ClientDelivery(connected=True)
    refusals = []

    def answer(conversation, call):
        try:
            conversation.tool_result(call, {"weather": "rain"})
        except UsageError as error:
            refusals.append(error.message)

    script = Script()
    script.user_says(0.5, "tell me the weather")
    script.app_does(3.0, lambda conversation: answer(conversation, "call_7"))
    script.app_does(4.0, lambda conversation: answer(conversation, "call_1"))
    script.app_does(4.5, lambda conversation: answer(conversation, "call_1"))
    script.app_does(12.0, lambda conversation: None)
    outcome = play(script, [fake_tool("weather", client)], client=client)
    assert refusals == ["No tool call waits for a result.", "This tool call was answered before."]
    assert outcome.of(ReplyFinished)[-1].text == "It rains there, take a coat."
    assert len(outcome.of(ToolResolved)) == 1


def test_without_a_client_its_tools_fail_at_once():
    client = ClientDelivery(connected=False)
    script = Script()
    script.user_says(0.5, "tell me the weather")
    outcome = play(script, [fake_tool("weather", client)], client=client)
    assert "no client" in outcome.of(ToolFailed)[0].message
    assert outcome.of(ReplyFinished)[-1].text == "Sorry, that did not work."


def test_ending_the_call_says_goodbye_first():
    script = Script()
    script.user_says(0.5, "goodbye then")
    script.app_does(60.0, lambda conversation: None)
    outcome = play(script, [end_call("Goodbye!")], calls=lambda text: [("end_call", {})])
    assert outcome.of(ReplyFinished)[-1].text == "Goodbye!"
    assert outcome.reason == "end_call"


def test_a_goodbye_that_is_interrupted_does_not_end_it():
    script = Script()
    end_s = script.user_says(0.5, "goodbye then")
    script.user_says(end_s + 1.4, "wait i have a question about that")
    script.app_does(20.0, lambda conversation: None)
    outcome = play(
        script,
        [end_call("Goodbye and thank you very much for this long and pleasant conversation.")],
        calls=lambda text: [("end_call", {})] if text.startswith("goodbye") and "wait" not in text else [],
    )
    assert outcome.of(ReplyInterrupted) and outcome.reason == "caller_over"


def test_handing_over_asks_for_a_human_and_says_so():
    script = Script()
    script.user_says(0.5, "a human please")
    script.app_does(9.0, lambda conversation: None)
    outcome = play(script, [hand_over("I am calling somebody.")], calls=lambda text: [("hand_over_to_human", {})])
    assert outcome.of(HumanRequested)[0].source == "tool"
    assert outcome.of(ReplyFinished)[-1].text == "I am calling somebody."


def test_the_decision_follows_the_words():
    decision = FakeDecision(weather)
    script = Script()
    script.user_says(0.5, "tell me the weather in oslo tomorrow please")
    tool = fake_tool("weather", FakeDelivery("rain"))
    script.play(FakeLlm(answers), capabilities=Capabilities(toolbox=Toolbox((tool,), decision)))
    assert decision.followed and all("tell me the weather in oslo tomorrow please".startswith(words) for words in decision.followed)


def test_the_calls_of_a_journal_are_listed():
    script = Script()
    script.user_says(0.5, "weather and mail please")
    script.app_does(9.0, lambda conversation: None)
    slow = fake_tool("slow", FakeDelivery("late", delay_s=99.0), on_resolve="fire_and_forget")
    outcome = play(
        script,
        [fake_tool("weather", FakeDelivery({"a": 1})), fake_tool("mail", FakeDelivery(ToolError("No."))), slow],
        calls=lambda text: [("weather", OSLO), ("mail", {}), ("slow", {})],
    )
    listed = {call.name: call for call in tool_calls(outcome.events)}
    assert (listed["weather"].state, listed["weather"].output, listed["weather"].arguments) == ("resolved", '{"a": 1}', OSLO)
    assert (listed["mail"].state, listed["mail"].output) == ("failed", "No.")
    assert listed["slow"].state == "failed" and "ended" in listed["slow"].output
    half = [event for event in outcome.events if not isinstance(event, (ToolResolved, ToolFailed))]
    assert {call.state for call in tool_calls(half)} == {"open"}


def test_a_reply_said_anew_knows_what_the_tool_answered():
    rails = [
        Guardrail(
            guardrail_name="no_rain",
            guardrail_prompt="No rain.",
            check={"phrases": ["it rains"], "action": "rephrase"},
        )
    ]
    guard = ConversationGuard(Checks(rails, shared_embedder()), virtual_time=True)

    def model(messages):
        notes = " ".join(message.content for message in messages if message.role == "system")
        if "breaks this rule" in notes:
            return "Take a coat." if "<answer>" in notes else "I know nothing."
        return "It rains there."

    toolbox = fake_toolbox([fake_tool("weather", FakeDelivery({"weather": "rain"}))], weather)
    script = Script()
    script.user_says(0.5, "tell me the weather")
    capabilities = Capabilities(toolbox=toolbox, guard=guard, observers=(guard,))
    outcome = script.play(FakeLlm(model), capabilities=capabilities)
    assert outcome.of(ReplyFinished)[-1].text == "Take a coat."
