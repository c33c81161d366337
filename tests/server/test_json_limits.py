"""Bodies and patches that would take the server's time or memory are refused before anything large is built."""

from __future__ import annotations

import copy
import json
import tracemalloc
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvi.server.contract import HttpProblem
from cvi.server.json_bodies import MAX_DEPTH, MAX_VALUES, read_json
from cvi.server.json_patch import MAX_OPERATIONS, PatchError, patched
from cvi.untrusted import size_of


def copies(count: int) -> list[dict[str, str]]:
    return [{"op": "copy", "from": "", "path": f"/k{number}"} for number in range(count)]


BOMBS: list[list[dict[str, Any]]] = [
    copies(60),
    [{"op": "copy", "from": "/a", "path": "/a/b"} for _ in range(MAX_OPERATIONS)],
    [
        {"op": "add", "path": "/l", "value": ["x"]},
        *[{"op": "copy", "from": "/l", "path": "/l/-"} for _ in range(60)],
    ],
    [{"op": "add", "path": "/a" * MAX_DEPTH, "value": {"a": {}}}],
    [{"op": "move", "from": "/a", "path": "/a/b/c"}],
    [{"op": "add", "path": "/" + "/".join("a" * 400), "value": 1}],
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_patch_that_doubles_or_deepens_its_document_is_refused_before_it_has(
    bomb: list[dict[str, Any]],
) -> None:
    document = {"a": {"b": {}}, "text": ["x"] * 100}
    before = copy.deepcopy(document)
    tracemalloc.start()
    with pytest.raises(PatchError):
        patched(document, bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert document == before and peak < 64 << 20


@pytest.mark.parametrize("value", ["x" * 50_000, {"x" * 50_000: 1}, [10**4000] * 13], ids=["text", "key", "number"])
def test_a_patch_that_copies_something_long_again_and_again_is_refused(value: Any) -> None:
    """Few values, and hundreds of megabytes once they are written."""
    bomb = [{"op": "copy", "from": "/a", "path": f"/k{number}"} for number in range(200)]
    with pytest.raises(PatchError, match="more than 4194304 characters"):
        patched({"a": value}, bomb)
    assert len(patched({"a": value}, bomb[:50])) == 51


def test_a_patch_has_a_time_limit() -> None:
    ticks = iter([0.0, 0.5, 1.5, 2.5])
    with pytest.raises(PatchError, match=r"Operation 2: .* longer than 2 s"):
        patched({"a": 1}, [{"op": "test", "path": "/a", "value": 1}] * 3, clock=lambda: next(ticks))


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ({"op": "add", "path": "/list/-", "value": 3}, {"list": [1, 2, 3], "o": {}}),
        ({"op": "add", "path": "/list/0", "value": 3}, {"list": [3, 1, 2], "o": {}}),
        ({"op": "replace", "path": "/new", "value": 3}, {"list": [1, 2], "o": {}, "new": 3}),
        ({"op": "add", "path": "/o/a/b", "value": 3}, {"list": [1, 2], "o": {"a": {"b": 3}}}),
        ({"op": "add", "path": "/o/-", "value": 3}, {"list": [1, 2], "o": {"-": 3}}),
        ({"op": "add", "path": "/missing/-", "value": 3}, None),
        ({"op": "add", "path": "/o/missing/-", "value": 3}, None),
        ({"op": "add", "path": "/missing/0", "value": 3}, None),
        ({"op": "replace", "path": "/list/-", "value": 3}, None),
        ({"op": "replace", "path": "/list/2", "value": 3}, None),
        ({"op": "add", "path": "/list/01", "value": 3}, None),
        ({"op": "add", "path": "/list/x", "value": 3}, None),
        ({"op": "remove", "path": ""}, None),
        ({"op": "remove", "path": "/missing"}, None),
        ({"op": "test", "path": "/list/0", "value": True}, None),
        ({"op": "test", "path": "/list/0", "value": 1}, {"list": [1, 2], "o": {}}),
        ({"op": "copy", "from": "/missing", "path": "/x"}, None),
        ({"op": "copy", "from": "/list", "path": "/o/l"}, {"list": [1, 2], "o": {"l": [1, 2]}}),
        ({"op": "move", "path": "/x"}, None),
        ({"op": "bend", "path": "/x"}, None),
        ({"op": "add", "path": "x", "value": 1}, None),
        ({"op": "add", "path": "/x"}, None),
        ({"op": "add", "path": "/~2", "value": 1}, None),
        ({"op": "add", "path": 5, "value": 1}, None),
    ],
)
def test_operations_are_those_of_rfc_6902(operation: dict[str, Any], result: Any) -> None:
    document = {"list": [1, 2], "o": {}}
    if result is None:
        with pytest.raises(PatchError, match="Operation 0: "):
            patched(document, [operation])
    else:
        assert patched(document, [operation]) == result
    assert document == {"list": [1, 2], "o": {}}


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~-01", max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
_pointers = st.lists(st.sampled_from(["a", "b", "0", "1", "-", "a~1b", "~0", ""]), max_size=4).map(
    lambda parts: "".join(f"/{part}" for part in parts)
)
_operations = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "x"])},
    optional={"path": _pointers | _json, "from": _pointers | _json, "value": _json},
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(_json, st.lists(_operations, max_size=6))
def test_any_patch_is_applied_or_refused_in_words(document: Any, patch: Any) -> None:
    before = copy.deepcopy(document)
    try:
        result = patched(document, patch)
    except PatchError as fault:
        assert str(fault).startswith("Operation ")
    else:
        assert size_of(result).depth <= MAX_DEPTH
    assert document == before


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"[]," * 1_390_000 + b"[]]",
        b"[" * 300 + b"]" * 300,
        b'{"a":' * 60 + b"1" + b"}" * 60,
        b'{"a": [' + b"1," * MAX_VALUES + b"1]}",
        b'["' + b'\\"' * 1000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_bodies_with_too_many_values_or_nested_too_deep_are_refused(body: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(HttpProblem):
        read_json(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


def test_signs_inside_of_texts_are_no_values() -> None:
    text = '[{,\\"' * 40_000
    assert read_json(json.dumps({"system_prompt": text}).encode()) == {"system_prompt": text}


async def test_a_patch_of_a_missing_list_is_422_and_stores_nothing(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v2/personas", json={"persona_name": "Ada", "system_prompt": "x"})).json()
    path = f"/v2/personas/{made['persona_id']}"
    answer = await client.patch(path, json=[{"op": "add", "path": "/guardrail_ids/-", "value": "a"}])
    assert answer.status_code == 422, answer.text
    assert "guardrail_ids" not in (await client.get(path)).json()


async def test_the_bomb_is_refused_by_every_route_that_takes_a_patch(client: httpx.AsyncClient) -> None:
    ada = (await client.post("/v2/personas", json={"persona_name": "Ada", "system_prompt": "x"})).json()
    deployment = await client.post("/v2/deployments", json={"persona_id": "guide", "channel": "embed"})
    objectives = await client.post(
        "/v2/objectives", json={"data": [{"objective_name": "one", "objective_prompt": "Ask."}]}
    )
    guardrail = await client.post(
        "/v2/guardrails", json={"guardrail_name": "one", "guardrail_prompt": "Never shout."}
    )
    for path in (
        f"/v2/personas/{ada['persona_id']}",
        f"/v2/deployments/{deployment.json()['deployment_id']}",
        f"/v2/objectives/{objectives.json()['objectives_id']}",
        f"/v2/guardrails/{guardrail.json()['guardrails_id']}",
    ):
        answer = await client.patch(path, json=copies(60))
        assert answer.status_code == 422 and "values" in answer.json()["message"], answer.text
        long = [{"op": "add", "path": "/layers", "value": {"llm": {"extra_body": {"a": "x" * 900_000}}}}]
        place = "/layers/llm/extra_body"
        long += [{"op": "copy", "from": f"{place}/a", "path": f"{place}/{number}"} for number in range(300)]
        answer = await client.patch(path, json=long)
        assert answer.status_code == 422 and "characters" in answer.json()["message"], answer.text


async def test_a_persona_larger_than_its_file_may_be_is_refused_before_it_is_written(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cvi.server.catalog.persona_document.persona_text", lambda document: pytest.fail("written"))
    body = {"persona_name": "Ada", "system_prompt": "x", "layers": {"llm": {"extra_body": {"a": "x" * 1_100_000}}}}
    answer = await client.post("/v2/personas", json=body)
    assert answer.status_code == 400 and "larger than 1048576 bytes" in answer.json()["error"], answer.text
