import asyncio
import json

import pytest

from cvi.errors import EngineError, MissingError, UsageError
from cvi.llm import llama_cpp, openai
from cvi.llm.base import LlmSettings, Message, Sampling
from cvi.llm.grammar import grammar_of
from cvi.testing.contracts.llm import check_structured
from tests.llm.test_openai_llm import Endpoint

ASKED = [Message("system", "You take orders."), Message("user", "Two pizzas for Anna.")]
FORM = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "size": {"enum": ["small", "large"]}},
    "required": ["name", "size"],
}


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    try:
        return llama_cpp.shipped_model()
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def engine(model):
    return llama_cpp.build(LlmSettings(context_tokens=512, threads=1))


async def test_contract(engine):
    await check_structured(engine)


async def test_the_conversation_keeps_its_cache(engine):
    await engine.warm(ASKED)
    held = list(engine._model._held)
    answer = await engine.structured(ASKED, FORM)
    assert set(answer) == {"name", "size"} and answer["size"] in ("small", "large")
    assert engine._model._held == held


async def test_a_reply_goes_first(engine):
    order = []

    async def note(name, work):
        await work
        order.append(name)

    async def reply():
        async for _ in engine.stream(ASKED, Sampling(max_tokens=8)):
            pass

    slow = asyncio.create_task(note("structured", engine.structured(ASKED, FORM, max_tokens=60)))
    await asyncio.sleep(0)
    await note("reply", reply())
    await slow
    assert order == ["reply", "structured"]


async def test_a_model_that_is_closed_ends_it(model):
    engine = llama_cpp.build(LlmSettings(context_tokens=512, threads=1))
    work = asyncio.create_task(engine.structured(ASKED, FORM))
    await asyncio.sleep(0.05)
    await engine.close()
    with pytest.raises(EngineError, match="closed"):
        await work


def test_schemas_without_a_grammar_are_refused():
    pytest.importorskip("llama_cpp")
    with pytest.raises(UsageError, match="JSON Schema"):
        grammar_of({"type": "object", "properties": {"a": {"type": "quark"}}})
    with pytest.raises(UsageError, match="JSON Schema"):
        grammar_of({"$ref": "https://example.com/schema.json"})
    assert "root" in grammar_of({"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}})


def answer(text):
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


async def test_an_endpoint_is_given_the_schema():
    async with Endpoint(answer('{"name": "Anna", "size": "large"}')).open() as endpoint:
        engine = openai.build(LlmSettings(model="m", base_url=endpoint.url))
        assert await engine.structured(ASKED, FORM) == {"name": "Anna", "size": "large"}
        await engine.close()
    form = endpoint.requests[0][2]["response_format"]
    assert form["type"] == "json_schema" and form["json_schema"]["schema"] == FORM


async def test_an_endpoint_without_schemas_is_asked_for_json():
    async with Endpoint(b'{"error": "no"}', status="400 Bad Request").open() as endpoint:
        engine = openai.build(LlmSettings(model="m", base_url=endpoint.url))
        with pytest.raises(EngineError, match="400"):
            await engine.structured(ASKED, FORM)
        await engine.close()
    first, second = (request[2] for request in endpoint.requests)
    assert first["response_format"]["type"] == "json_schema"
    assert second["response_format"] == {"type": "json_object"}
    assert "JSON Schema" in second["messages"][-1]["content"]


@pytest.mark.parametrize("text", ["I would rather not.", '{"name": "Anna"}', '{"name": 5, "size": "large"}', "{"])
async def test_an_endpoint_that_answers_something_else_fails(text):
    async with Endpoint(answer(text)).open() as endpoint:
        engine = openai.build(LlmSettings(model="m", base_url=endpoint.url))
        with pytest.raises(EngineError):
            await engine.structured(ASKED, FORM)
        await engine.close()


async def test_a_text_that_is_brought_to_its_end_with_a_line_break_in_it_is_read(engine):
    begun = "A form of what somebody says.\nFields:\n- name: name\n\nFill in as JSON. Never guess.\n\n"
    asked = [Message("user", begun + "They said: my name is Anna.")]
    answer = await engine.structured(asked, FORM, max_tokens=4)
    assert set(answer) == {"name", "size"}
