"""JSON that always parses: a model's next tokens, held to a JSON Schema.

llama.cpp's grammars (GBNF) say which tokens may follow. Only the likeliest tokens are asked about, because
the grammar of a whole vocabulary costs more than a small model's own step. A text that grows too long is
brought to an end by preferring what closes strings, lists and objects.
"""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cvi.errors import EngineError, UsageError

if TYPE_CHECKING:
    from cvi.llm.gguf import Gguf

_LIKELIEST = 48
_CLOSING_TOKENS = 96
"""How many tokens a text may need to be brought to its end."""
_CLOSERS = re.compile(rb'^[\s"}\]]+$')
# What the conversion raises for a schema that it does not understand.
_FAULTS = (AssertionError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)
_SPACE = re.compile(r"^space ::= .*$", re.MULTILINE)


def grammar_of(schema: Mapping[str, Any]) -> str:
    """The GBNF grammar of a JSON Schema; JSON in it has at most one blank between two parts.

    Patterns that are not anchored are left out. Raises UsageError for a schema that has no grammar.
    """
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        text: str = json_schema_to_gbnf(json.dumps(_simplified(schema)))
    except _FAULTS as error:
        detail = " ".join(str(error).split())[:160] or type(error).__name__
        raise UsageError(
            f"No grammar can be made of a JSON Schema: {detail}.",
            "Use types, properties, required, enum, items, anyOf; no remote $ref.",
        ) from error
    return _SPACE.sub('space ::= " "?', text)


def _simplified(schema: Any) -> Any:
    """The schema without what the grammar cannot express and the text does not need."""
    if isinstance(schema, list):
        return [_simplified(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    out = {key: _simplified(value) for key, value in schema.items()}
    pattern = out.get("pattern")
    if isinstance(pattern, str) and not (pattern.startswith("^") and pattern.endswith("$")):
        del out["pattern"]
    return out


class GrammarChoice:
    """Chooses the likeliest token that the grammar allows, from the logits of a model's latest decode.

    On the model's thread; close it before the model.
    """

    def __init__(self, model: Gguf, grammar: str) -> None:
        """Raises UsageError for a grammar that llama.cpp cannot read."""
        self._api, self._model = model.api, model
        self._grammar = self._api.llama_sampler_init_grammar(model.vocab, grammar.encode(), b"root")
        if not self._grammar:
            raise UsageError("llama.cpp cannot read the grammar of a JSON Schema.", "Simplify the schema.")
        self._closers: list[int] | None = None

    def next(self, *, closing: bool = False) -> int:
        """The next token; with `closing` one that brings the text nearer to its end, where one is allowed.

        Raises EngineError where the grammar allows none.
        """
        logits = self._model.logits()
        if closing:
            allowed = self._allowed(self._closing_tokens(), logits)
            if allowed is not None:
                return self._take(allowed)
        some = np.argpartition(logits, -_LIKELIEST)[-_LIKELIEST:] if len(logits) > _LIKELIEST else ()
        for candidates in (some, range(len(logits))):
            if len(candidates):
                allowed = self._allowed(candidates, logits)
                if allowed is not None:
                    return self._take(allowed)
        raise EngineError("The grammar of a JSON Schema allows no token.", "Simplify the schema.")

    def close(self) -> None:
        """Free its memory; safe to call twice."""
        if self._grammar is not None:
            self._api.llama_sampler_free(self._grammar)
            self._grammar = None

    def _allowed(self, tokens: Sequence[int] | Any, logits: Any) -> int | None:
        """The likeliest of `tokens` that may come next."""
        api = self._api
        count = len(tokens)
        data = (api.llama_token_data * count)()
        for place, token in enumerate(tokens):
            data[place].id = int(token)
            data[place].logit = logits[token]
        array = api.llama_token_data_array(data=data, size=count, selected=-1, sorted=False)
        api.llama_sampler_apply(self._grammar, ctypes.byref(array))
        best = max(data, key=lambda each: each.logit)
        return int(best.id) if best.logit > float("-inf") else None

    def _take(self, token: int) -> int:
        if not self._model.ends_reply(token):
            self._api.llama_sampler_accept(self._grammar, token)
        return token

    def _closing_tokens(self) -> list[int]:
        if self._closers is None:
            pieces = ((token, self._model.piece(token)) for token in range(self._model.vocabulary_size))
            closing = [token for token, piece in pieces if len(piece) < 4 and _CLOSERS.match(piece)]
            self._closers = [*closing, *self._model.end_tokens]
        return self._closers


class JsonWriter:
    """Writes one JSON text behind a prompt, a step at a time, so that more urgent work can go between steps.

    On the model's thread. `max_tokens` is where the text is brought to its end; it is a little longer then.
    """

    def __init__(self, model: Gguf, prompt: Sequence[int], grammar: str, max_tokens: int) -> None:
        """Raises UsageError for a grammar that llama.cpp cannot read."""
        self._model = model
        self._tokens = list(prompt)
        self._most = min(max_tokens, model.context_tokens - len(prompt) - _CLOSING_TOKENS)
        self._written = 0
        self._bytes = b""
        self._choice = GrammarChoice(model, grammar)

    def step(self, stopped: Callable[[], bool], chunk_tokens: int) -> bool:
        """Read on in the prompt, or write one token; True once the text is complete.

        `stopped` is asked before every `chunk_tokens`: once it returns True, the step ends early, without
        loss. Raises EngineError.
        """
        if not self._model.evaluate(self._tokens, stopped, chunk_tokens):
            return False
        if self._written > self._most + _CLOSING_TOKENS:
            raise EngineError(
                f"The model's JSON did not end within {self._most} tokens.",
                "Ask for fewer or shorter fields.",
            )
        token = self._choice.next(closing=self._written >= self._most)
        if self._model.ends_reply(token):
            return True
        self._tokens.append(token)
        self._bytes += self._model.piece(token)
        self._written += 1
        return False

    @property
    def value(self) -> Any:
        """What was written. Raises EngineError for a text that is no JSON."""
        try:
            # Not strict: the grammar lets a line break stand in a string as it is.
            return json.loads(self._bytes.decode(errors="replace"), strict=False)
        except ValueError as error:
            raise EngineError("The model's JSON is damaged.", "Ask again.") from error

    def close(self) -> None:
        """Free its memory; safe to call twice."""
        self._choice.close()
