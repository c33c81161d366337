"""A thread that looks at the participant, from `start` to `stop`, and stands back for everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cvi.errors import CviError
from cvi.threads import step_back

_PATIENCE_S = 5.0


class WatchThread:
    """Runs `work(stopped)`, which returns when the event is set; its CviError goes to `failed`, there."""

    def __init__(
        self,
        name: str,
        niceness: int,
        work: Callable[[threading.Event], None],
        failed: Callable[[CviError], None],
    ) -> None:
        self._niceness = niceness
        self._work = work
        self._failed = failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking. Blocks for a look at most."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        step_back(self._niceness)
        try:
            self._work(self._stopped)
        except CviError as error:
            self._failed(error)
