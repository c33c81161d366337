"""From a persona to its tools, and what is refused."""

import pytest

from cvi.errors import MissingError, UsageError
from cvi.llm.base import ToolSpec
from cvi.persona.schema import Persona
from cvi.tools import python_function
from cvi.tools.base import ToolCall, ToolError
from cvi.tools.declared import ToolPermissions, check_specs, declared_tools

MODULE = "tests.tools.weather_tools"
ALLOWED = ToolPermissions(modules=(MODULE,))


def persona(*tools, **more):
    return Persona(persona_name="Ada", system_prompt="Be brief.", tools=list(tools), **more)


def tool(name="weather", **more):
    return {"name": name, "description": "Get the weather.", "delivery": {"python": f"{MODULE}:weather"}, **more}


def call(**arguments):
    return ToolCall("call_1", "weather", arguments, "c1-call_1")


async def test_a_persona_without_tools_has_none():
    assert await declared_tools(persona(), ToolPermissions(), "en") is None


async def test_what_is_declared_is_what_the_conversation_gets():
    given = persona(
        tool(on_call="static_filler", static_filler=" Wait. ", on_resolve="add_to_context", read_only=True, careful=True, examples=["a"]),
        builtin_tools=["end_call"],
    )
    toolbox = await declared_tools(given, ALLOWED, "en")
    weather, end = toolbox.tools
    assert (weather.on_call, weather.static_filler, weather.on_resolve) == ("static_filler", "Wait.", "add_to_context")
    assert weather.read_only and weather.careful and weather.examples == ("a",)
    assert end.name == "end_call" and end.ends_conversation and end.careful
    await toolbox.close()


async def test_a_function_runs_only_where_the_operator_allowed_its_module():
    with pytest.raises(UsageError, match=f"may not run here.*--allow-tool-module {MODULE}"):
        await declared_tools(persona(tool()), ToolPermissions(), "en")
    toolbox = await declared_tools(persona(tool()), ALLOWED, "en")
    assert (await toolbox.tools[0].delivery.call(call(city="Oslo"))).value == {"weather": "rain in Oslo"}


@pytest.mark.parametrize(("target", "match"), [("nowhere_at_all:f", "cannot be imported"), (f"{MODULE}:missing", "no function 'missing'")])
async def test_a_function_that_is_not_there(target, match):
    allowed = ToolPermissions(modules=(target.split(":")[0],))
    with pytest.raises(MissingError, match=match):
        await declared_tools(persona(tool(delivery={"python": target})), allowed, "en")


async def test_a_function_may_fail_and_be_slow(monkeypatch):
    monkeypatch.setattr(python_function, "TIMEOUT_S", 0.05)
    for name, match in (("broken", "KeyError"), ("slow", "within"), ("weather", "TypeError")):
        delivery = python_function.PythonDelivery(f"{MODULE}:{name}")
        with pytest.raises(ToolError, match=match):
            await delivery.call(call(city="Oslo") if name != "weather" else call(town="Oslo"))


@pytest.mark.parametrize(
    ("specs", "match"),
    [
        ([ToolSpec("a", "x", {"type": "objekt"})], "no JSON Schema"),
        ([ToolSpec("a", "x", {"type": "array"})], "no object"),
        ([ToolSpec("a", "x", {}), ToolSpec("a", "y", {})], "called 'a'"),
        ([ToolSpec(f"t{i}", "x", {}) for i in range(51)], "at most 50"),
    ],
)
def test_malformed_tools_are_one_clear_message(specs, match):
    with pytest.raises(UsageError, match=match):
        check_specs(specs)


@pytest.mark.parametrize("name", ["class", "None", "lambda", "import"])
async def test_a_name_that_is_a_keyword_is_only_a_name(name):
    toolbox = await declared_tools(persona(tool(name)), ALLOWED, "en")
    assert (await toolbox.tools[0].delivery.call(call(city="Oslo"))).value == {"weather": "rain in Oslo"}


def test_what_a_tool_answers_is_given_to_the_model_in_words():
    from cvi.conversation.tool_runs import as_data

    assert as_data('{"open": "eight to six", "is_anonymous": true, "fee": null}') == (
        "<answer>open: eight to six; is anonymous: yes; fee: unknown</answer>"
    )
    assert as_data('{"days": ["Monday"]}') == '<answer>{"days": ["Monday"]}</answer>'
    assert as_data("[1, 2]") == "<answer>[1, 2]</answer>" and as_data("At six.") == "<answer>At six.</answer>"
