"""One pocketsphinx decoder, called without holding Python's global interpreter lock.

The package's own binding holds the lock during a call: up to 75 ms for 100 ms of sound, in which no other
thread draws a frame or moves a sample. The same shared object exports the C API of pocketsphinx 5, and ctypes
releases the lock.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import EngineError, MissingError

_REMEDY = "Install it with: pip install 'pocketsphinx>=5.1.1,<5.2'"
_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_API: dict[str, tuple[object, list[object]]] = {
    "err_set_loglevel_str": (_TEXT, [_TEXT]),
    "ps_config_init": (_POINTER, [_POINTER]),
    "ps_config_free": (_INT, [_POINTER]),
    "ps_config_set_str": (_POINTER, [_POINTER, _TEXT, _TEXT]),
    "ps_config_set_int": (_POINTER, [_POINTER, _TEXT, ctypes.c_long]),
    "ps_config_set_bool": (_POINTER, [_POINTER, _TEXT, _INT]),
    "ps_init": (_POINTER, [_POINTER]),
    "ps_free": (_INT, [_POINTER]),
    "ps_start_utt": (_INT, [_POINTER]),
    "ps_end_utt": (_INT, [_POINTER]),
    "ps_process_raw": (_INT, [_POINTER, _POINTER, ctypes.c_size_t, _INT, _INT]),
    "ps_get_hyp": (_TEXT, [_POINTER, _POINTER]),
}


class SphinxDecoder:
    """A decoder with the English model of the package. Used by one thread at a time.

    The cepstral mean is estimated live and carried from utterance to utterance, so a voice is recognized
    better the second time. `user` is the object that began the running utterance, `listening` whether one
    runs. The model is freed with the object.
    """

    def __init__(self, *, second_pass: bool = False, lattice: bool = True) -> None:
        """Read the model: about 0.4 s and 90 MB. `second_pass` decodes each utterance again from its
        candidates when it ends; `lattice` searches the best path through the candidates.

        Raises MissingError without the package or its model, EngineError for a model that cannot be read.
        """
        package = _package()
        model = package / "model" / "en-us"
        if not (model / "en-us" / "mdef").is_file():
            raise MissingError("The English model of pocketsphinx is not in its package.", _REMEDY)
        self._lib = _library(package)
        self._lib.err_set_loglevel_str(b"FATAL")
        config = self._lib.ps_config_init(None)
        for name, path in (
            ("hmm", model / "en-us"),
            ("lm", model / "en-us.lm.bin"),
            ("dict", model / "cmudict-en-us.dict"),
        ):
            self._lib.ps_config_set_str(config, name.encode(), str(path).encode())
        self._lib.ps_config_set_str(config, b"cmn", b"live")
        self._lib.ps_config_set_int(config, b"samprate", HEARD_HZ)
        self._lib.ps_config_set_bool(config, b"fwdflat", second_pass)
        self._lib.ps_config_set_bool(config, b"bestpath", lattice)
        self._decoder: int | None = self._lib.ps_init(config)
        self._lib.ps_config_free(config)
        if not self._decoder:
            raise EngineError("pocketsphinx could not read its English model.", _REMEDY)
        self._freed = weakref.finalize(self, self._lib.ps_free, self._decoder)
        # At exit a thread may still be inside a call; the process frees the memory itself.
        self._freed.atexit = False
        self.listening = False
        self.user: object = None

    def start(self) -> None:
        """Begin an utterance."""
        self._check(self._lib.ps_start_utt(self._decoder), "start")
        self.listening = True

    def process(self, pcm: Pcm) -> None:
        """Decode int16 samples at HEARD_HZ; takes about 15 % of their duration. Raises EngineError."""
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise ValueError(f"sound is int16 of shape (n,), got {pcm.dtype} of shape {pcm.shape}")
        samples = np.ascontiguousarray(pcm)
        self._check(
            self._lib.ps_process_raw(self._decoder, samples.ctypes.data, len(samples), 0, 0), "listen"
        )

    def end(self) -> None:
        """End the utterance; `text` is then its final text."""
        self.listening = False
        self._check(self._lib.ps_end_utt(self._decoder), "end")

    def text(self) -> str:
        """The words of the running or last utterance as the model spells them; "" for none."""
        found: bytes | None = self._lib.ps_get_hyp(self._decoder, None)
        return found.decode("utf-8", "replace") if found else ""

    def _check(self, status: int, step: str) -> None:
        if status < 0:
            raise EngineError(f"pocketsphinx failed to {step}.", "Start the conversation again.")


def _package() -> Path:
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise MissingError("The package pocketsphinx is not installed.", _REMEDY)
    return Path(spec.origin).parent


def _library(package: Path) -> ctypes.CDLL:
    """The package's shared object, with prototypes for the functions in use."""
    files = [package / f"_pocketsphinx{suffix}" for suffix in EXTENSION_SUFFIXES]
    found = next((file for file in files if file.is_file()), None)
    if found is None:
        raise MissingError(f"pocketsphinx has no library for {sys.platform} and this Python.", _REMEDY)
    try:
        library = ctypes.CDLL(str(found))
        for name, (result, arguments) in _API.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise MissingError(f"The library of pocketsphinx cannot be used ({error}).", _REMEDY) from error
    return library
