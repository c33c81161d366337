"""One GGUF model with one context, through llama.cpp's C API.

Everything here blocks and belongs to one thread. Invariant: `_held` lists exactly the tokens whose keys and
values are in the KV cache. `evaluate` decodes only what the cache lacks, so that several callers can share
one context without any agreement between them.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.errors import EngineError, MissingError, UsageError
from cvi.llm.base import Sampling
from cvi.threads import let_threads_sleep

FAST_CHUNK_TOKENS = 64
"""Largest share of a prompt decoded in one go; larger is no faster per token (measured: 6.7 ms a
token at 64 and at 256, 9.1 at 32, SmolLM2-135M on one thread)."""
_BATCH_TOKENS = 512
_PENALTY_WINDOW_TOKENS = 96
_LEAST_SHIFT_TOKENS = 48
"""A shorter stretch is decoded again rather than moved."""
_ABORTED = 2
"""llama_decode's code when its abort callback asked for an end."""
_TOP_K = 40
_MIN_P = 0.05


def _never() -> bool:
    return False


class Gguf:
    """A model in memory with a context of `context_tokens` tokens.

    Also public: `vocabulary_size`, `end_tokens` (which end a turn), `control_tokens`; `api` (llama.cpp's) and
    `vocab` for samplers.
    """

    def __init__(self, path: Path, context_tokens: int, threads: int, gpu_layers: int) -> None:
        """Load the model; `gpu_layers` -1 puts all layers on the GPU, 0 none.

        `context_tokens` is reduced to what the model was trained with. Raises MissingError without the
        package or the file, UsageError for a file that is no GGUF, EngineError where llama.cpp cannot load
        it.
        """
        let_threads_sleep()
        try:
            import llama_cpp
        except ImportError as error:
            raise MissingError(
                "The llama.cpp engine needs the package llama-cpp-python.",
                "Run: pip install llama-cpp-python",
            ) from error
        _check_file(path)
        _silence(llama_cpp)
        self.api: Any = llama_cpp
        self.path = path
        self._context: Any = None
        self._batch: Any = None
        self._beside = False
        self._threads = threads
        self._model: Any = self._load(gpu_layers)
        self.vocab: Any = llama_cpp.llama_model_get_vocab(self._model)
        self.vocabulary_size: int = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.context_tokens = min(context_tokens, int(llama_cpp.llama_model_n_ctx_train(self._model)))
        self._open_context(_BATCH_TOKENS)
        self._can_shift = bool(llama_cpp.llama_memory_can_shift(self._memory))
        self._adds_bos = bool(llama_cpp.llama_vocab_get_add_bos(self.vocab))
        tokens = range(self.vocabulary_size)
        self.end_tokens = [i for i in tokens if llama_cpp.llama_vocab_is_eog(self.vocab, i)]
        self.control_tokens = [i for i in tokens if llama_cpp.llama_vocab_is_control(self.vocab, i)]
        self._outside = frozenset(self.end_tokens) | frozenset(self.control_tokens)

    def beside(self, context_tokens: int, threads: int | None = None) -> Gguf:
        """Another context of the same weights, with a cache of its own and, if given, its own number of
        threads; close it before this one.

        For questions beside the conversation, which would otherwise drive its prompt out of the cache.
        """
        other = copy(self)
        other._beside = True
        other._context = other._batch = None
        other._threads = threads or self._threads
        other.context_tokens = min(context_tokens, self.context_tokens)
        other._open_context(FAST_CHUNK_TOKENS)
        return other

    def _load(self, gpu_layers: int) -> Any:
        api = self.api
        params = api.llama_model_default_params()
        params.n_gpu_layers = gpu_layers if gpu_layers >= 0 else 0x7FFFFFFF
        api.llama_backend_init()
        # A llama.cpp that was compiled with AMX crashes (SIGILL) where the kernel or hypervisor withholds it
        # at run time, which cannot be asked. With such a build weights are not repacked for AMX. (Ours is
        # built without: see scripts/environment.)
        if b"AMX_INT8 = 1" in api.llama_print_system_info():
            params.use_extra_bufts = False
        model = api.llama_model_load_from_file(str(self.path).encode(), params)
        if not model:
            raise EngineError(
                f"llama.cpp cannot load {self.path}.",
                "The file is damaged or of a kind it does not know.",
            )
        return model

    def _open_context(self, batch_tokens: int) -> None:
        api = self.api
        self._context = self._new_context(batch_tokens)
        self._memory = api.llama_get_memory(self._context)
        self._batch = api.llama_batch_init(batch_tokens, 0, 1)
        self._held: list[int] = []
        self._logits_fresh = False
        self._abort = (ctypes.c_char * 2)()
        self._abort_callback = _nonzero_byte(api)
        api.llama_set_abort_callback(
            self._context, self._abort_callback, ctypes.cast(self._abort, ctypes.c_void_p)
        )

    def _new_context(self, batch_tokens: int) -> Any:
        api = self.api
        params = api.llama_context_default_params()
        params.n_ctx = self.context_tokens
        params.n_batch = params.n_ubatch = batch_tokens
        params.n_threads = params.n_threads_batch = self._threads
        params.no_perf = True
        if not api.llama_supports_gpu_offload():
            # Slower on a CPU: 29 against 25 ms a token, 11 against 8 a token of prompt.
            params.flash_attn_type = api.LLAMA_FLASH_ATTN_TYPE_DISABLED
        context = api.llama_init_from_model(self._model, params)
        if not context:
            self.close()
            raise EngineError(
                f"There is no memory for {self.context_tokens} tokens of context of {self.path.name}.",
                "Set a smaller context, or choose a smaller model.",
            )
        return context

    # --- text and tokens

    def tokenize(self, text: str, bos: bool = True) -> list[int]:
        """Tokens of a rendered prompt, control tokens included. With `bos`, the model's BOS token is put in
        front if it wants one and the text has none. Raises EngineError."""
        raw = text.encode()
        bos = bos and self._adds_bos and not (self.bos_text and text.startswith(self.bos_text))
        room = len(raw) + 8
        tokens = (ctypes.c_int32 * room)()
        count = self.api.llama_tokenize(self.vocab, raw, len(raw), tokens, room, bos, True)
        if count < 0:
            raise EngineError(f"{self.path.name} cannot tokenize {len(raw)} bytes of text.")
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """The bytes a token stands for; b"" for a control token. May be part of a UTF-8 character."""
        return self._piece(token, False)

    def ends_reply(self, token: int) -> bool:
        """Whether the token ends a turn or opens the next, so that the reply is over."""
        return token in self._outside

    @property
    def control_texts(self) -> tuple[str, ...]:
        """The spellings of the control tokens, longest first."""
        found = {self._special(token) for token in self._outside}
        return tuple(sorted((text for text in found if len(text) > 1), key=len, reverse=True))

    @property
    def bos_text(self) -> str:
        """The spelling of the token that begins a prompt; "" for a model without one."""
        return self._special(self.api.llama_vocab_bos(self.vocab))

    @property
    def eos_text(self) -> str:
        """The spelling of the token that ends a text; "" for a model without one."""
        return self._special(self.api.llama_vocab_eos(self.vocab))

    @property
    def template(self) -> str | None:
        """The chat template (Jinja) the file carries."""
        raw = self.api.llama_model_chat_template(self._model, None)
        return raw.decode() if raw else None

    # --- the cache

    def missing(self, tokens: Sequence[int]) -> int:
        """How many of `tokens` are not in the cache."""
        return len(tokens) - _common(self._held, tokens)

    def evaluate(
        self,
        tokens: Sequence[int],
        stopped: Callable[[], bool] = _never,
        chunk_tokens: int = FAST_CHUNK_TOKENS,
    ) -> bool:
        """Make the cache hold exactly `tokens`, with the logits after the last one.

        `stopped` is called before every chunk; once it returns True, `evaluate` returns False, and what was
        decoded stays in the cache. Raises EngineError for too many tokens or a failed decode.
        """
        if not 0 < len(tokens) <= self.context_tokens:
            raise EngineError(
                f"{len(tokens)} tokens do not fit the context of {self.path.name} ({self.context_tokens})."
            )
        held = self._held
        if self._logits_fresh and held == list(tokens):
            return True
        self._shift(tokens)
        # The last token is decoded again if need be: logits exist only for what was just decoded.
        self._cut(min(_common(held, tokens), len(tokens) - 1))
        for start in range(len(held), len(tokens), chunk_tokens):
            if not self._decode(tokens[start : start + chunk_tokens], stopped):
                return False
        return True

    def abort(self) -> None:
        """End the decode under way, also in the middle of a token. May be called from any thread.

        Whoever asked for the decode goes on with it unless its `stopped` says otherwise.
        """
        self._abort[0] = b"\1"

    def evaluate_both(
        self, tokens: Sequence[int], inner: int, stopped: Callable[[], bool] = _never
    ) -> npt.NDArray[np.float64] | None:
        """As `evaluate`, and return the distribution after the first `inner` tokens, out of one decode.

        Returns None once `stopped` returns True. Each decode reads all weights once, so the few tokens
        between the end of a turn's words and the beginning of its reply cost little in the same decode.
        """
        if not 1 < inner < len(tokens) <= min(self.context_tokens, inner + FAST_CHUNK_TOKENS):
            raise ValueError(f"{inner=} of {len(tokens)} tokens, context {self.context_tokens}")
        self._cut(min(_common(self._held, tokens), inner - 1))
        many = len(tokens) - len(self._held) > FAST_CHUNK_TOKENS
        if many and not self.evaluate(tokens[: inner - 1], stopped):
            return None
        start = len(self._held)
        if not self._decode(tokens[start:], stopped, also=inner - 1 - start):
            return None
        return self.probabilities(inner - 1 - start)

    def probabilities(self, at: int = -1) -> npt.NDArray[np.float64]:
        """The next token's distribution after the latest `evaluate`: float64, shape (vocabulary_size,).

        `at` is a position in the latest decode for which logits were asked.
        """
        logits = self.logits(at).astype(np.float64)
        logits -= logits.max()
        odds = np.exp(logits)
        result: npt.NDArray[np.float64] = odds / odds.sum()
        return result

    def logits(self, at: int = -1) -> npt.NDArray[np.float32]:
        """The scores behind `probabilities`, float32, shape (vocabulary_size,), until the next decode."""
        pointer = self.api.llama_get_logits_ith(self._context, at)
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary_size,))

    def forbid_ending(self) -> None:
        """Make every token that ends a reply impossible for the next choice of a sampler."""
        self.forbid(self._outside)

    def forbid(self, tokens: Iterable[int]) -> None:
        """Make these tokens impossible for the next choice of a sampler."""
        logits = self.api.llama_get_logits_ith(self._context, -1)
        for token in tokens:
            logits[token] = -math.inf
        self._logits_fresh = False

    def sampler(self, sampling: Sampling) -> Sampler:
        """A sampler for one reply; the caller closes it."""
        return Sampler(self.api, self._context, self.vocabulary_size, sampling)

    def close(self) -> None:
        """Free the memory. Safe to call twice; nothing else may be called afterwards."""
        if self._batch is not None:
            self.api.llama_batch_free(self._batch)
        if self._context:
            self.api.llama_free(self._context)
        if self._model and not self._beside:
            self.api.llama_model_free(self._model)
        self._batch = self._context = self._model = None

    def _cut(self, keep: int) -> None:
        if keep < len(self._held):
            self._logits_fresh = False
            # Recurrent models cannot forget a part: then all of it goes.
            if not self.api.llama_memory_seq_rm(self._memory, 0, keep, -1):
                self.api.llama_memory_clear(self._memory, True)
                keep = 0
            del self._held[keep:]

    def _shift(self, tokens: Sequence[int]) -> None:
        """Where `tokens` are those held without a stretch in the middle (the oldest turns), forget the
        stretch and move up what follows, instead of decoding that again."""
        held = self._held
        same = _common(held, tokens)
        probe = list(tokens[same : same + _LEAST_SHIFT_TOKENS])
        if not self._can_shift or not same or len(probe) < _LEAST_SHIFT_TOKENS:
            return
        for start in range(same + 1, len(held) - len(probe) + 1):
            if held[start] == probe[0] and held[start : start + len(probe)] == probe:
                break
        else:
            return
        api, memory = self.api, self._memory
        if api.llama_memory_seq_rm(memory, 0, same, start):
            api.llama_memory_seq_add(memory, 0, start, -1, same - start)
            del held[same:start]
            self._logits_fresh = False

    def _decode(self, tokens: Sequence[int], stopped: Callable[[], bool] = _never, also: int = -1) -> bool:
        """Decode behind what is held; False once `stopped` returns True, with nothing more held."""
        while not stopped():
            if self._decoded(tokens, also):
                return True
        return False

    def _decoded(self, tokens: Sequence[int], also: int) -> bool:
        held, batch = self._held, self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = len(held) + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = i in (also, len(tokens) - 1)
        code = self.api.llama_decode(self._context, batch)
        if code == _ABORTED:
            self._abort[0] = b"\0"
            self._logits_fresh = False
            self.api.llama_memory_seq_rm(self._memory, 0, len(held), -1)
            return False
        if code != 0:
            self._logits_fresh = False
            self.api.llama_memory_clear(self._memory, True)
            held.clear()
            raise EngineError(
                f"{self.path.name} failed to decode {len(tokens)} tokens (llama.cpp code {code}).",
                "A smaller context or fewer GPU layers may help.",
            )
        held.extend(tokens)
        self._logits_fresh = True
        return True

    def _special(self, token: int) -> str:
        return self._piece(token, True).decode(errors="replace") if token >= 0 else ""

    def _piece(self, token: int, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self.api.llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count


class Sampler:
    """Chooses tokens: repeat penalty over the reply so far, then top-k, top-p, min-p, temperature and seed,
    or the likeliest token where the temperature is 0."""

    def __init__(self, api: Any, context: Any, vocabulary_size: int, sampling: Sampling) -> None:
        self._api, self._context = api, context
        self._chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())

        def add(part: Any) -> None:
            api.llama_sampler_chain_add(self._chain, part)

        if sampling.repeat_penalty != 1.0:
            add(
                api.llama_sampler_init_penalties(
                    vocabulary_size, _PENALTY_WINDOW_TOKENS, sampling.repeat_penalty, 0.0, 0.0
                )
            )
        if sampling.temperature <= 0:
            add(api.llama_sampler_init_greedy())
        else:
            add(api.llama_sampler_init_top_k(_TOP_K))
            add(api.llama_sampler_init_top_p(sampling.top_p, 1))
            add(api.llama_sampler_init_min_p(_MIN_P, 1))
            add(api.llama_sampler_init_temp(sampling.temperature))
            add(api.llama_sampler_init_dist(sampling.seed & 0xFFFFFFFF))

    def next(self) -> int:
        """Choose from the logits of the latest decode; the choice counts for the penalty."""
        return int(self._api.llama_sampler_sample(self._chain, self._context, -1))

    def close(self) -> None:
        """Free its memory; safe to call twice."""
        if self._chain is not None:
            self._api.llama_sampler_free(self._chain)
            self._chain = None


def _common(held: Sequence[int], tokens: Sequence[int]) -> int:
    limit = min(len(held), len(tokens))
    if list(held[:limit]) == list(tokens[:limit]):
        return limit
    return next(i for i in range(limit) if held[i] != tokens[i])


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise MissingError(f"The model {path} cannot be read: {reason}.", "Check the path.") from error
    if magic != b"GGUF":
        raise UsageError(f"{path} is not a GGUF file.", "Give a language model in GGUF form.")


def _nonzero_byte(api: Any) -> Any:
    """A callback for llama.cpp that tells whether the byte its argument points to is not zero.

    It is asked at every operation of a decode. A Python function would take the interpreter's lock each
    time; C's `strlen` of a text of at most one byte answers the same without.
    """
    libc = ctypes.CDLL(None) if os.name == "posix" else ctypes.cdll.msvcrt
    return ctypes.cast(libc.strlen, api.ggml_abort_callback)


_quiet: Any = None


def _silence(api: Any) -> None:
    """llama.cpp writes its progress to stderr; errors reach us as return codes."""
    global _quiet
    if _quiet is None:
        _quiet = api.llama_log_callback(lambda _level, _text, _data: None)
        api.llama_log_set(_quiet, ctypes.c_void_p(0))
