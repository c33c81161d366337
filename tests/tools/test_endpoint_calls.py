"""Endpoints that choose calls themselves: the protocol, and whole replies in virtual time."""

import asyncio
import json

import pytest

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import EngineFailed, ReplyCommitted, ReplyFinished, ToolBridged, ToolCalled
from cvi.errors import EngineError
from cvi.llm.base import LlmSettings, Message, Sampling, ToolRequest, ToolSpec
from cvi.llm.openai import build
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script
from cvi.testing.tools import FakeDelivery, fake_tool, fake_toolbox
from tests.llm.test_openai_llm import DONE, Endpoint, data

HELLO = [Message("user", "The weather in Oslo?")]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("weather", "The weather in a city.", CITY)


def part(index, **about):
    function = {key: about.pop(key) for key in ("name", "arguments") if key in about}
    call = {"index": index, **about, "function": function}
    return b"data: " + json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}).encode() + b"\n\n"


async def ask(*steps, tools=(WEATHER,), messages=HELLO):
    endpoint = Endpoint(*steps)
    async with endpoint.open():
        llm = build(LlmSettings(base_url=endpoint.url, model="m"))
        try:
            return [item async for item in llm.stream_or_call(messages, tools, Sampling())], endpoint
        finally:
            await llm.close()


async def test_calls_come_in_pieces():
    steps = [
        data("One moment."),
        part(0, id="a", name="weather", arguments='{"ci'),
        part(1, id="b", name="weather", arguments='{"city": "Bergen"}'),
        part(0, arguments='ty": "Oslo"}'),
        DONE,
    ]
    items, endpoint = await ask(*steps)
    assert items == [
        "One moment.",
        ToolRequest("weather", {"city": "Oslo"}, "a"),
        ToolRequest("weather", {"city": "Bergen"}, "b"),
    ]
    (tool,) = endpoint.requests[0][2]["tools"]
    assert tool["type"] == "function" and tool["function"]["name"] == "weather"


async def test_answers_go_back_in_the_apis_form():
    messages = [
        *HELLO,
        Message("assistant", "", requests=(ToolRequest("weather", {"city": "Oslo"}, "a"),)),
        Message("tool", "rain", answers="a"),
    ]
    _, endpoint = await ask(data("It rains."), DONE, messages=messages, tools=())
    body = endpoint.requests[0][2]
    assert "tools" not in body
    called, answered = body["messages"][1:]
    assert json.loads(called["tool_calls"][0]["function"]["arguments"]) == {"city": "Oslo"}
    assert answered == {"role": "tool", "content": "rain", "tool_call_id": "a"}


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (part(0, id="a", name="launch", arguments="{}"), "not given: 'launch'"),
        (part(0, id="a", name="weather", arguments="{"), "JSON object"),
        (part(0, id="a", name="weather", arguments='{"town": 1}'), "does not fit"),
    ],
)
async def test_a_call_that_cannot_be_used_fails_the_reply(call, match):
    with pytest.raises(EngineError, match=match):
        await ask(call, DONE)


class CallingLlm(FakeLlm):
    """Calls what `rounds` say, one list of items a round; then answers."""

    def __init__(self, *rounds):
        super().__init__()
        self.rounds = list(rounds)
        self.given = []

    async def stream_or_call(self, messages, tools, sampling):
        self.given.append(tuple(messages))
        asked = sum(1 for message in messages if message.role == "assistant" and message.requests)
        await asyncio.sleep(0.05)
        for item in self.rounds[asked] if asked < len(self.rounds) else ["Here you are."]:
            if isinstance(item, EngineError):
                raise item
            yield item


def play(llm, delivery, **declared):
    script = Script()
    script.user_says(0.5, "the weather please")
    script.app_does(12.0, lambda conversation: None)
    tool = fake_tool("weather", delivery, **declared)
    return script.play(llm, capabilities=Capabilities(toolbox=fake_toolbox([tool], lambda text: [])))


def test_an_endpoint_calls_and_answers_from_the_result():
    llm = CallingLlm([ToolRequest("weather", {"what": "oslo"}, "a")])
    delivery = FakeDelivery({"weather": "rain"})
    outcome = play(llm, delivery)
    assert len(delivery.calls) == 1 and outcome.of(ToolCalled)[0].seq > outcome.of(ReplyCommitted)[-1].seq
    assert outcome.of(ReplyFinished)[-1].text == "Here you are."
    assert llm.given[-1][-1] == Message("tool", '{"weather": "rain"}', answers="a")


def test_what_it_says_before_the_call_is_the_bridge():
    llm = CallingLlm(["Let me see. ", ToolRequest("weather", {"what": "oslo"}, "a")])
    outcome = play(llm, FakeDelivery("rain", delay_s=3.0), on_call="static_filler", static_filler="Wait.")
    assert outcome.of(ReplyFinished)[-1].text == "Let me see. Here you are."
    assert not outcome.of(ToolBridged)


def test_an_endpoint_that_calls_without_end_is_stopped():
    call = ToolRequest("weather", {"what": "oslo"}, "a")
    delivery = FakeDelivery("rain")
    outcome = play(CallingLlm(*[[call]] * 9), delivery)
    assert len(delivery.calls) == 1, "the same call is carried out once"
    assert len(outcome.of(ReplyFinished)) == 1


def test_an_endpoint_that_fails_is_apologized_for():
    outcome = play(CallingLlm([EngineError("It is down.")]), FakeDelivery())
    assert outcome.of(EngineFailed) and outcome.of(ReplyFinished)[-1].text.startswith("Sorry")
