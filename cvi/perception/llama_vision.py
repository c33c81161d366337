"""Pictures understood in this process: llama.cpp with a multimodal GGUF and its picture encoder (mmproj).

One thread owns the model and stands back for everything else; a question takes seconds on a processor, and no
reply waits for it. The model's file and `mmproj*.gguf` lie in one folder, as `cvi models pull` puts them.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cvi.errors import EngineError, MissingError, UsageError
from cvi.files import is_file
from cvi.llm.base import Sampling
from cvi.llm.gguf import Gguf
from cvi.media.live_picture import Rgb
from cvi.models.llama_build import build_command
from cvi.paths import user_path
from cvi.perception.vision import MOST_TOKENS, RULES, VisionSettings
from cvi.threads import NativeThread, step_back

CONTEXT_TOKENS = 4096
"""A picture takes 64 to 1,100 tokens with the models that were read about (docs/models.md)."""
_BATCH_TOKENS = 512
_NICENESS = 10
_CLOSE_WITHIN_S = 2.0
_GREEDY = Sampling(temperature=0.0, max_tokens=MOST_TOKENS)
T = TypeVar("T")
_quiet: list[Any] = []


def build(settings: VisionSettings) -> LlamaVision:
    """Checks that everything is there; the weights are read by `warm`. Raises MissingError, UsageError."""
    if not settings.model:
        raise MissingError(
            "The persona names no vision-language model.",
            "Run: cvi models pull smolvlm-500m, and write model: smolvlm-500m into layers.perception.",
        )
    path = user_path(settings.model)
    if not is_file(path):
        raise MissingError(
            f"There is no vision-language model '{settings.model}'.",
            "Give a GGUF file with its mmproj*.gguf beside it, or run: cvi models pull smolvlm-500m",
        )
    projectors = sorted(path.parent.glob("mmproj*.gguf"))
    if len(projectors) != 1:
        raise UsageError(
            f"{path.parent} holds {len(projectors) or 'no'} picture encoders (mmproj*.gguf), not one.",
            "Put the model and its own mmproj*.gguf into a folder.",
        )
    _mtmd()
    return LlamaVision(path, projectors[0], settings.threads or 1)


def _mtmd() -> Any:
    """llama.cpp's library for pictures. Raises MissingError where it was built without."""
    try:
        return import_module("llama_cpp.mtmd_cpp")
    except (ImportError, OSError, RuntimeError) as error:
        raise MissingError(
            "llama-cpp-python is not installed, or was built without its picture models.",
            f"Build it anew, some minutes: {build_command()}",
        ) from error


class LlamaVision:
    """A `VisionEngine`. `ask` and `close` are called from the event loop."""

    name = "llama-cpp"

    def __init__(self, path: Path, projector: Path, threads: int = 1) -> None:
        """The two GGUF files; with one thread the model takes one core at most."""
        self._paths, self._threads = (path, projector), threads
        self._stage = NativeThread("vision")
        self._model: PictureGguf | None = None
        self._closed = False

    async def warm(self) -> None:
        """Read the weights, a second or some. Raises MissingError, UsageError, EngineError."""
        await self._run(self._loaded)

    async def ask(self, jpegs: Sequence[bytes], question: str) -> str:
        """As `VisionEngine.ask`."""
        pictures = [_decoded(each) for each in jpegs]
        return await self._run(
            lambda: self._loaded().answer(pictures, f"{RULES} {question}", lambda: self._closed)
        )

    async def close(self) -> None:
        """Free the model once it has finished what it is at; waits for that two seconds at most."""
        if self._closed:
            return
        self._closed = True
        if self._model is not None:
            self._model.abort()
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._stage.run(self._free)), _CLOSE_WITHIN_S)
            self._stage.close()

    async def _run(self, work: Callable[[], T]) -> T:
        if self._closed:
            raise EngineError("The vision-language model was closed.")
        return await self._stage.run(work)

    def _loaded(self) -> PictureGguf:
        if self._model is None:
            step_back(_NICENESS)
            self._model = PictureGguf(*self._paths, self._threads)
        return self._model

    def _free(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None


class PictureGguf(Gguf):
    """A GGUF model with its picture encoder. All of it blocks and belongs to one thread, but for `abort`."""

    def __init__(self, path: Path, projector: Path, threads: int) -> None:
        """Raises as `Gguf`, and UsageError for an encoder that does not belong to the model."""
        self._mtmd = _mtmd()
        self._encoder: Any = None
        super().__init__(path, CONTEXT_TOKENS, threads, -1)
        api, mtmd = self.api, self._mtmd
        if not _quiet:
            _quiet.append(api.llama_log_callback(lambda _level, _text, _data: None))
        for silence in (mtmd.mtmd_log_set, mtmd.mtmd_helper_log_set):
            silence(_quiet[0], ctypes.c_void_p(0))
        params = mtmd.mtmd_context_params_default()
        params.use_gpu, params.n_threads = bool(api.llama_supports_gpu_offload()), threads
        params.print_timings = params.warmup = False
        self._encoder = mtmd.mtmd_init_from_file(str(projector).encode(), self._model, params)
        if not self._encoder or not mtmd.mtmd_support_vision(self._encoder):
            self.close()
            raise UsageError(
                f"{projector.name} is no picture encoder of {path.name}.",
                "Use the mmproj file that was published with the model.",
            )

    def answer(self, pictures: Sequence[Rgb], question: str, stopped: Callable[[], bool]) -> str:
        """A short answer about the pictures, the likeliest one. Raises EngineError, also once `stopped`."""
        api, mtmd = self.api, self._mtmd
        after = api.llama_pos(0)
        with self._chunks(pictures, question) as chunks:
            tokens = int(mtmd.mtmd_helper_get_n_tokens(chunks))
            if tokens + MOST_TOKENS > self.context_tokens:
                raise EngineError(f"The pictures take {tokens} tokens, too many for {self.path.name}.")
            api.llama_memory_clear(self._memory, True)
            code = mtmd.mtmd_helper_eval_chunks(
                self._encoder, self._context, chunks, 0, 0, _BATCH_TOKENS, True, ctypes.byref(after)
            )
        if code or stopped():
            raise EngineError(f"{self.path.name} did not read the pictures (llama.cpp code {code}).")
        said = b"".join(self._written(int(after.value), stopped))
        return said.decode(errors="ignore").strip()

    def _written(self, at: int, stopped: Callable[[], bool]) -> Iterator[bytes]:
        """Pieces of the answer, the first token at position `at`."""
        sampler = self.sampler(_GREEDY)
        try:
            for position in range(at, at + MOST_TOKENS):
                token = sampler.next()
                if self.ends_reply(token):
                    return
                yield self.piece(token)
                batch = self._batch
                batch.n_tokens, batch.token[0], batch.pos[0] = 1, token, position
                batch.n_seq_id[0], batch.seq_id[0][0], batch.logits[0] = 1, 0, True
                if stopped() or self.api.llama_decode(self._context, batch):
                    raise EngineError(f"{self.path.name} stopped in the middle of an answer.")
        finally:
            sampler.close()

    @contextmanager
    def _chunks(self, pictures: Sequence[Rgb], question: str) -> Iterator[Any]:
        """The prompt with the pictures in it, as chunks of tokens."""
        mtmd = self._mtmd
        marker = mtmd.mtmd_default_marker().decode()
        raw = self._prompt(marker * len(pictures) + self._clean(question)).encode()
        text = mtmd.mtmd_input_text(raw, len(raw), True, True)
        bitmaps, chunks = [], mtmd.mtmd_input_chunks_init()
        try:
            for rgb in pictures:
                height, width = rgb.shape[:2]
                data = np.ascontiguousarray(rgb).ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
                bitmaps.append(mtmd.mtmd_bitmap_init(width, height, data))
            given = (mtmd.mtmd_bitmap_p_ctypes * len(bitmaps))(*bitmaps)
            code = mtmd.mtmd_tokenize(self._encoder, chunks, ctypes.byref(text), given, len(bitmaps))
            if code or not self._knows_tokens(chunks):
                raise EngineError(
                    f"{self.path.name} cannot take these pictures (llama.cpp code {code}).",
                    "Use the mmproj file that was published with the model.",
                )
            yield chunks
        finally:
            mtmd.mtmd_input_chunks_free(chunks)
            for bitmap in bitmaps:
                mtmd.mtmd_bitmap_free(bitmap)

    def _knows_tokens(self, chunks: Any) -> bool:
        """False where the encoder marks pictures with tokens that the model lacks: llama.cpp would abort."""
        mtmd, count = self._mtmd, ctypes.c_size_t()
        for index in range(mtmd.mtmd_input_chunks_size(chunks)):
            chunk = mtmd.mtmd_input_chunks_get(chunks, index)
            if mtmd.mtmd_input_chunk_get_type(chunk) == mtmd.MTMD_INPUT_CHUNK_TYPE_TEXT:
                tokens = mtmd.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
                if any(token < 0 for token in tokens[: count.value]):
                    return False
        return True

    def _prompt(self, text: str) -> str:
        """One message of the user, by the model's chat template; some want its parts in a list."""
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        if self.template is None:
            return f"USER: {text}\nASSISTANT:"
        formatter = Jinja2ChatFormatter(self.template, self.eos_text, self.bos_text)
        for content in ([{"type": "text", "text": text}], text):
            try:
                prompt: str = formatter(messages=[{"role": "user", "content": content}]).prompt
            except Exception:  # noqa: S112 - whatever a template raises for a form it does not know
                continue
            if text in prompt:
                return prompt
        raise UsageError(f"The chat template of {self.path.name} takes no pictures.", "Use another model.")

    def _clean(self, text: str) -> str:
        """Without the model's control tokens, and without the mark of a picture."""
        for control in (*self.control_texts, self._mtmd.mtmd_default_marker().decode()):
            text = text.replace(control, "")
        return text

    def close(self) -> None:
        """As `Gguf.close`."""
        if self._encoder:
            self._mtmd.mtmd_free(self._encoder)
            self._encoder = None
        super().close()


def _decoded(jpeg: bytes) -> Rgb:
    import cv2

    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise EngineError("A picture for the vision-language model is damaged.")
    return np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)
