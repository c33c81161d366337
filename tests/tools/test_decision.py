"""Whether a turn calls a tool: likeness first, then the model, then arguments that always parse."""

import asyncio

import numpy as np
import pytest

from cvi.errors import MissingError
from cvi.llm import llama_cpp
from cvi.llm.base import LlmSettings, Message, ToolSpec
from cvi.testing.fakes import FakeLlm
from cvi.testing.tools import FakeDelivery
from cvi.tools.base import ToolDefinition
from cvi.tools.builtin import end_call
from cvi.tools.decision import NONE, WEIGHTS, LikenessAndOdds
from cvi.tools.neutral import NEUTRAL_TURNS

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Words:
    """An embedder whose vectors count words: texts that share words are alike."""

    def __init__(self):
        self.asked = []
        self._places = {}

    def questions(self, texts):
        self.asked += texts
        rows = np.zeros((len(texts), 2000), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().replace("?", "").replace(".", "").split():
                row[self._places.setdefault(word, len(self._places))] = 1
            row /= np.linalg.norm(row) or 1
        return rows


class ChoosingLlm(FakeLlm):
    """Chooses the option whose share was given; completes with `arguments`."""

    def __init__(self, shares, arguments=None):
        super().__init__()
        self.shares, self.arguments = shares, arguments or {}
        self.questions, self.read, self.completed = [], [], []

    async def read_question(self, purpose, messages, partial):
        self.read.append(partial)

    async def choose(self, purpose, messages, options):
        self.questions.append(messages)
        rest = (1 - sum(self.shares.values())) / max(len(options) - len(self.shares), 1)
        return {option: self.shares.get(option, rest) for option in options}

    async def complete(self, purpose, messages, begun, schema):
        self.completed.append(begun)
        return dict(self.arguments)


def tools():
    def tool(name, description, *examples, parameters=CITY):
        return ToolDefinition(ToolSpec(name, description, parameters), FakeDelivery(), examples)

    return [
        tool("weather", "Get the weather in a city.", "what is the weather in madrid"),
        tool("mail", "Send an e-mail.", "send an e-mail to my colleague"),
        end_call(),
    ]


async def decide(llm, text, history=()):
    decision = LikenessAndOdds(tools(), "en", lambda name: embedder)
    embedder = Words()
    await decision.warm(llm)
    return await decision.decide(llm, list(history), text)


async def test_a_turn_like_no_tool_does_not_ask_the_model():
    llm = ChoosingLlm({"weather": 0.99})
    weighed = await decide(llm, "my son started school last year")
    assert not weighed.requests and weighed.probability is None and not llm.questions


async def test_a_turn_like_a_tool_asks_the_model_and_fills_the_arguments():
    llm = ChoosingLlm({"weather": 0.9, NONE: 0.05}, {"city": "oslo"})
    weighed = await decide(llm, "what is the weather in oslo")
    assert [(call.name, call.arguments) for call in weighed.requests] == [("weather", {"city": "oslo"})]
    assert llm.completed == ["weather "] and weighed.probability > 0.9
    told = llm.questions[0]
    assert told[0].role == "system" and "With city." in told[0].content
    assert told[-1] == Message("user", "what is the weather in oslo")


async def test_what_was_not_said_is_asked_for_and_not_invented():
    llm = ChoosingLlm({"weather": 0.95, NONE: 0.01}, {"city": "Madrid"})
    weighed = await decide(llm, "what is the weather like outside")
    assert not weighed.requests and weighed.lacking == {"weather": ["city"]}
    before = [Message("user", "I live in Madrid."), Message("assistant", "Nice.")]
    assert (await decide(llm, "what is the weather like outside", before)).requests


async def test_the_model_may_say_that_no_tool_is_meant():
    llm = ChoosingLlm({NONE: 0.99})
    weighed = await decide(llm, "what is weather in a poem")
    assert not weighed.requests and weighed.probability < 0.5 and not llm.completed


async def test_a_careful_tool_needs_more_certainty():
    weights = WEIGHTS["minilm"]
    assert weights.careful_from > weights.calls_from
    careful = (weights.careful_from + weights.calls_from) / 2
    for probability, called in ((careful, False), (weights.careful_from + 0.02, True)):
        odds = np.log(probability / (1 - probability))
        text = "you can hang my wet coat up there"
        likeness = (await decide(ChoosingLlm({"end_call": 0.4, NONE: 0.5}), text)).likeness
        model = 1 / (1 + np.exp(-(odds - weights.offset - weights.likeness * likeness) / weights.odds))
        llm = ChoosingLlm({"end_call": model - 1e-6, NONE: 1 - model})
        weighed = await decide(llm, text)
        assert weighed.probability == pytest.approx(probability, abs=1e-3)
        assert bool(weighed.requests) == called and not llm.completed


async def test_two_requests_in_one_turn_are_two_calls():
    class Both(ChoosingLlm):
        async def choose(self, purpose, messages, options):
            name = "weather" if "weather" in messages[-1].content else "mail"
            return {option: 0.98 if option == name else 0.01 for option in options}

    weighed = await decide(Both({}, {"city": "oslo"}), "what is the weather in oslo and then send an e-mail to my boss")
    assert [call.name for call in weighed.requests] == ["weather", "mail"]


async def test_a_short_answer_is_read_with_its_question():
    llm = ChoosingLlm({"mail": 0.95, NONE: 0.01}, {"city": "it"})
    history = [Message("system", "Be brief."), Message("assistant", "Fine. Shall I send an e-mail to my colleague?")]
    assert [call.name for call in (await decide(llm, "yes please", history)).requests] == ["mail"]
    assert not (await decide(llm, "yes please")).requests


async def test_the_words_are_read_while_they_are_spoken_where_they_are_like_a_tool():
    llm = ChoosingLlm({})
    embedder = Words()
    decision = LikenessAndOdds(tools(), "en", lambda name: embedder)
    decision.follow(llm, [], "too early")
    await decision.warm(llm)
    for words in ("my son started", "what is the weather"):
        decision.follow(llm, [], words)
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
    assert llm.read == ["", "what is the weather"]


async def test_an_engine_that_cannot_choose_is_one_clear_message():
    with pytest.raises(MissingError, match="'fake' cannot call tools"):
        await decide(FakeLlm(), "hello")


def test_the_neutral_turns_are_none_of_the_graded_requests():
    from cvi.bench.tools import DEVELOPMENT, GRADED, load_requests

    graded = {request.say.lower() for request in load_requests(GRADED).requests}
    developed = {request.say.lower() for request in load_requests(DEVELOPMENT).requests}
    assert not graded & developed and not graded & {turn.lower() for turn in NEUTRAL_TURNS}
    assert len(graded) == 60 and sum(r.tool is None for r in load_requests(GRADED).requests) == 30


@pytest.fixture(scope="module")
def engine():
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    try:
        path = llama_cpp.shipped_model()
    except MissingError as error:
        pytest.skip(str(error))
    return llama_cpp.LlamaCpp(path, LlmSettings(context_tokens=1024, threads=1))


ASKED = [Message("system", "Answer with one word."), Message("user", "Is the sky blue, yes or no?")]


async def test_a_real_model_shares_one_among_the_options(engine):
    odds = await engine.choose("tools", ASKED, ["yes", "no", "get_weather", "get_order", "get"])
    assert sum(odds.values()) == pytest.approx(1) and all(value >= 0 for value in odds.values())
    again = await engine.choose("tools", ASKED, ["yes", "no", "get_weather", "get_order", "get"])
    assert again == pytest.approx(odds, abs=1e-3)


async def test_a_real_models_arguments_fit_the_schema_and_the_conversation_keeps_its_cache(engine):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["c", "f"]}},
        "required": ["city", "days", "unit"],
        "additionalProperties": False,
    }
    await engine.warm(ASKED)
    held = list(engine._model._held)
    asked = [Message("user", "The weather in Oslo for three days in celsius.")]
    arguments = await engine.complete("tools", asked, "weather ", schema)
    assert set(arguments) == {"city", "days", "unit"} and isinstance(arguments["days"], int)
    assert engine._model._held == held


async def test_a_question_that_is_given_up_frees_the_model(engine):
    long = [Message("user", "word " * 600)]
    asking = asyncio.create_task(engine.choose("tools", long, ["a", "b"]))
    await asyncio.sleep(0.05)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()
    assert sum((await engine.choose("tools", ASKED, ["a", "b"])).values()) == pytest.approx(1)


async def test_a_question_is_read_to_its_end_whatever_comes_between(engine):
    long = [Message("user", "word " * 400)]
    reading = asyncio.create_task(engine.read_question("other", long, ""))
    for _ in range(3):
        await asyncio.sleep(0.05)
        await engine.prefill(ASKED, "and")
    await reading
    assert not engine._beside["other"].missing(engine._tokens(long, ""))
