"""One native stage, one thread.

Torch, ONNX Runtime, llama.cpp and their like are fastest with one caller each, and none of them
may run on the event loop. A `NativeThread` is the single thread that owns such a thing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
_END = object()


def step_back(niceness: int) -> None:
    """Let other threads go before the calling one, where the system knows priorities of threads (Linux).

    For work nobody waits for, such as encoding a recording. It cannot be taken back, nor does a thread of a
    process that stands further back already come forward. A thread that stands far back and is kept waiting
    while it holds the interpreter's lock makes all others wait: with 15 for the recorder and 3 for the face,
    50 turns on two cores had their first words a fifth sooner, and 39 gaps of 20 to 70 ms in the sound
    (2 with 5 and 0).
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        niceness = max(niceness, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


def let_threads_sleep() -> None:
    """Let OpenMP threads that wait for each other soon sleep rather than spin. Called before a library that
    uses OpenMP is loaded, which reads this once; an environment that says otherwise is left alone.

    A thread that spins for long keeps the core from the very thread it waits for, as soon as the cores have
    other work, and a conversation always has: the face, the recorder, the recognizer. One that sleeps at once
    is woken too late for the next of a token's hundreds of barriers, which come within microseconds. So GNU
    OpenMP spins 1,000 times (some microseconds). A token of the 1.5 B model on two threads and two cores,
    median of 7: idle 46 ms asleep at once, 26 with 1,000, 28 with the default's 300,000; beside two busy
    processes 42, 62 and 3,544 ms.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def one_blas_thread() -> None:
    """Let OpenBLAS, numpy's library for matrices, work on the calling thread alone. Called before numpy is
    loaded, which reads this once; an environment that says otherwise is left alone.

    Its second thread spins for longer than the small products of a conversation take, on a core that the
    language model needs: on two cores it made the first sound of a reply 40 ms later at the median.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class NativeThread:
    """A named thread that runs blocking calls in order.

    `run` and `stream` are called from the event loop; what they are given runs on the stage's thread.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"cvi-{name}")

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` on the thread and await its result."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    async def stream(self, make: Callable[[threading.Event], Iterator[T]]) -> AsyncGenerator[T, None]:
        """Iterate `make(cancelled)` on the thread, one item at a time.

        When the consumer goes away (break, `aclose`, task cancelled), `cancelled` is set so that the
        producer can stop between two items, or inside one if it looks. The stage is free for its
        next call as soon as the producer has returned. Backpressure is natural: the next item is
        computed only when it is asked for.
        """
        cancelled = threading.Event()
        items: Iterator[T] | None = None

        def step() -> T | object:
            nonlocal items
            if cancelled.is_set():
                return _END
            if items is None:
                items = make(cancelled)
            return next(items, _END)

        def finish() -> None:
            close = getattr(items, "close", None)
            if close is not None:
                close()

        try:
            while True:
                item = await self.run(step)
                if item is _END:
                    return
                yield item  # type: ignore[misc]
        finally:
            cancelled.set()
            with suppress(RuntimeError):  # the stage was closed first; nothing runs that must be ended
                self._pool.submit(finish)

    def close(self) -> None:
        """Let the thread end once what it runs has returned; waiting calls are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
