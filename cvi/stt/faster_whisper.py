"""Recognition by Whisper through faster-whisper and CTranslate2.

Whisper decodes a whole window of sound, so a turn's window is decoded again now and then for partial text,
and at each pause for final text: from its first silence on, before a detector believes the pause. Once the
window is long, what lies before a pause becomes text for good, so that a window stays under 15 s and a long
turn costs no more than a short one. Decoding is greedy, in one language, without timestamps, and not
conditioned on earlier text, which leads to loops.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, AudioBlock, Pcm
from cvi.audio.level import SpeechEdges, level_db
from cvi.errors import EngineError, MissingError, UsageError
from cvi.files import is_file, is_folder
from cvi.paths import models_dir, user_path
from cvi.stt.base import SttEngine, SttSettings, SttStream
from cvi.stt.whisper_window import WindowDecoder
from cvi.threads import NativeThread, let_threads_sleep

_DEFAULT_MODEL = {"cpu": "whisper-base", "cuda": "faster-whisper-large-v3-turbo"}
_PULL = {"cpu": "cvi models pull cpu", "cuda": "cvi models pull workstation"}
_COMPUTE_TYPE = {"cpu": "int8", "cuda": "float16"}
_NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")

_PARTIAL_EVERY_S = 0.2
# From one partial decode to the next there is at least this many times the last one's duration.
_PARTIAL_SHARE = 3.0
_FREEZE_AT_S = 8.0
_LONGEST_WINDOW_S = 14.0
_PAUSE_S = 0.5
_LOOK_EVERY_S = 0.02
# A decoded window that reaches this far past the last speech need not be decoded again, where the level shows
# what is speech; it is decoded as soon as it does.
_TAIL_S = 0.05
_CLEAR_CONTRAST_DB = 20.0
# Whisper makes up words ("Thank you.") for a window without any sound.
_SILENT_DB = -65.0


def build(settings: SttSettings) -> SttEngine:
    """Load a model; `settings.model` is its folder or the name of a pulled one. Nothing is downloaded.

    Raises MissingError without package or model, UsageError for a language that the model does not know,
    EngineError for a folder or device that does not work.
    """
    let_threads_sleep()
    from ctranslate2 import get_cuda_device_count
    from faster_whisper import WhisperModel

    device = settings.device
    if device == "auto":
        device = "cuda" if get_cuda_device_count() else "cpu"
    kind = "cuda" if device.startswith("cuda") else "cpu"
    folder = _folder(settings.model, kind)
    try:
        model = WhisperModel(
            str(folder),
            device=kind,
            device_index=int(device.partition(":")[2] or 0),
            compute_type=_COMPUTE_TYPE[kind],
            cpu_threads=_cpu_threads(),
            num_workers=1,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise EngineError(
            f"The Whisper model in {folder} cannot be loaded on {device}: {error}.",
            f"Get it again with: {_PULL[kind]}",
        ) from error
    language = settings.language.lower().split("-")[0]
    if language not in model.supported_languages:
        raise UsageError(
            f"The Whisper model in {folder} does not know the language '{settings.language}'.",
            "Give a two-letter code it knows, or a multilingual model.",
        )
    return FasterWhisper(model, language, settings.hotwords)


class FasterWhisper:
    """One model on one thread, shared by turns. Methods are called from the event loop."""

    name = "faster-whisper"

    def __init__(self, model: Any, language: str, hotwords: tuple[str, ...]) -> None:
        self._decoder: WindowDecoder | None = WindowDecoder(model, language, " ".join(hotwords) or None)
        self._stage = NativeThread("stt")

    async def warm(self) -> None:
        """Decode half a second of noise. Raises EngineError."""
        noise = np.random.default_rng(0).integers(-500, 500, HEARD_HZ // 2).astype(np.int16)
        await self._stage.run(lambda: self.transcribe(noise))

    def open(self) -> SttStream:
        """Begin a turn. Raises EngineError after `close`."""
        if self._decoder is None:
            raise EngineError("The recognizer was closed.", "Start a new conversation.")
        return _Turn(self, self._stage)

    def close(self) -> None:
        """Free the model once the running call has returned."""
        self._decoder = None
        self._stage.close()

    def transcribe(self, pcm: Pcm) -> str:
        """The text of up to 30 s; blocks, on the engine's thread. Raises EngineError."""
        decoder = self._decoder
        if decoder is None or level_db(pcm) < _SILENT_DB:
            return ""
        try:
            return decoder.decode(pcm)
        except (RuntimeError, ValueError) as error:
            raise EngineError(
                f"Whisper failed to decode {len(pcm) / HEARD_HZ:.1f} s of sound: {error}.",
                "Take a smaller model if the memory is full.",
            ) from error


class _Turn:
    """The sound of one turn. Everything but the decoding itself happens on the event loop."""

    def __init__(self, engine: FasterWhisper, stage: NativeThread) -> None:
        self._engine = engine
        self._stage = stage
        self._decoding = asyncio.Lock()
        self._closed = False
        self._edges = SpeechEdges(window_s=_LONGEST_WINDOW_S)
        self._window: list[Pcm] = []
        self._window_start = 0
        self._end = 0
        self._looked = 0
        self._cut: int | None = None
        self._frozen: list[str] = []
        self._text = ""
        self._decoded_to = 0
        self._decode_s = 0.0
        self._ahead: asyncio.Task[None] | None = None

    def feed(self, pcm: Pcm) -> None:
        if self._closed or not len(pcm):
            return
        self._edges.feed(AudioBlock(pcm, self._end / HEARD_HZ))
        self._window.append(pcm)
        self._end += len(pcm)
        if self._end - self._looked >= _LOOK_EVERY_S * HEARD_HZ:
            self._looked = self._end
            last_s = self._edges.last_loud_s()
            silent = False
            if last_s is not None and self._edges.contrast_db() >= _CLEAR_CONTRAST_DB:
                self._look_for_pause(last_s)
                silent = last_s + _TAIL_S <= self._end / HEARD_HZ and not self._covers(last_s)
            busy = self._decoding.locked() or not (self._ahead is None or self._ahead.done())
            if (silent or self._due_to_freeze()) and not busy:
                self._ahead = asyncio.get_running_loop().create_task(self._decode_ahead())

    async def partial(self) -> str:
        # Where decoding is slow it is done less often, so that the final text seldom waits for a partial one.
        every_s = max(_PARTIAL_EVERY_S, _PARTIAL_SHARE * self._decode_s)
        due = self._end - self._decoded_to >= every_s * HEARD_HZ
        if due and not self._decoding.locked() and not self._falls_silent():
            async with self._decoding:
                await self._decode()
        return self._whole()

    async def final(self) -> str:
        async with self._decoding:
            while self._due_to_freeze():
                await self._freeze()
            if not self._covered():
                await self._decode()
            return self._whole()

    def close(self) -> None:
        self._closed = True
        self._window.clear()
        if self._ahead is not None:
            self._ahead.cancel()

    def _whole(self) -> str:
        return " ".join(filter(None, [*self._frozen, self._text]))

    def _falls_silent(self) -> bool:
        """Whether the voice has just stopped: a decode begun now would keep the one of all words waiting."""
        last_s = self._edges.last_loud_s()
        if last_s is None or self._edges.contrast_db() < _CLEAR_CONTRAST_DB:
            return False
        return _LOOK_EVERY_S <= self._end / HEARD_HZ - last_s < _TAIL_S

    def _covered(self) -> bool:
        """Whether the text covers all speech so far."""
        if self._decoded_to == self._end:
            return True
        if not self._decoded_to or self._edges.contrast_db() < _CLEAR_CONTRAST_DB:
            return False
        last_s = self._edges.last_loud_s()
        return last_s is not None and self._covers(last_s)

    def _covers(self, last_s: float) -> bool:
        return last_s + _TAIL_S <= self._decoded_to / HEARD_HZ

    async def _decode(self) -> None:
        pcm, end = self._joined(), self._end
        self._text = await self._transcribed(pcm)
        self._decoded_to = end

    async def _transcribed(self, pcm: Pcm) -> str:
        clock = asyncio.get_running_loop().time
        began_s = clock()
        text = await self._stage.run(lambda: "" if self._closed else self._engine.transcribe(pcm))
        self._decode_s = clock() - began_s
        return text

    def _look_for_pause(self, last_s: float) -> None:
        if self._end / HEARD_HZ - last_s >= _PAUSE_S:
            cut = round((last_s + _PAUSE_S / 2) * HEARD_HZ)
            if cut > self._window_start:
                self._cut = cut

    def _due_to_freeze(self) -> bool:
        length = self._end - self._window_start
        return not self._closed and (
            length > _LONGEST_WINDOW_S * HEARD_HZ
            or (self._cut is not None and length > _FREEZE_AT_S * HEARD_HZ)
        )

    async def _decode_ahead(self) -> None:
        """Decode in the background, and freeze what is due; an error is left to `final`, which meets it again
        and raises it."""
        try:
            async with self._decoding:
                if self._due_to_freeze():
                    await self._freeze()
                if not self._covered():
                    await self._decode()
        except EngineError:
            return

    async def _freeze(self) -> None:
        """Turn the window up to a pause, or up to its quietest moment, into lasting text."""
        pcm = self._joined()
        longest = round(_LONGEST_WINDOW_S * HEARD_HZ)
        cut = (self._cut or self._window_start) - self._window_start
        if not 0 < cut <= longest:
            cut = _quietest(pcm[:longest])
        text = await self._transcribed(pcm[:cut])
        if self._closed:
            return
        self._frozen.append(text)
        self._window_start += cut
        self._window = [self._joined()[cut:]]
        self._text, self._decoded_to = "", self._window_start
        if self._cut is not None and self._cut <= self._window_start:
            self._cut = None

    def _joined(self) -> Pcm:
        self._window = [np.concatenate(self._window)] if self._window else [np.zeros(0, np.int16)]
        return self._window[0]


def _quietest(pcm: Pcm) -> int:
    """Where, in the last third, the quietest 0.2 s has its middle."""
    hop, first = HEARD_HZ // 20, len(pcm) * 2 // 3
    starts = range(first, len(pcm) - 4 * hop, hop)
    return min(starts, key=lambda at: level_db(pcm[at : at + 4 * hop])) + 2 * hop


def _folder(model: str | None, kind: str) -> Path:
    named = user_path(model or _DEFAULT_MODEL[kind])
    folder = named if is_folder(named) else models_dir() / named
    absent = [name for name in _NEEDED_FILES if not is_file(folder / name)]
    if not is_folder(folder):
        raise MissingError(f"The Whisper model '{named}' is not installed.", f"Get it with: {_PULL[kind]}")
    if absent:
        raise MissingError(
            f"The Whisper model in {folder} lacks {', '.join(absent)}.", f"Get it again with: {_PULL[kind]}"
        )
    return folder


def _cpu_threads() -> int:
    """Half the cores, at most four: the other stages need the rest, and a second thread on two cores
    makes every stage slower."""
    import os

    return max(1, min(4, (os.cpu_count() or 2) // 2))
