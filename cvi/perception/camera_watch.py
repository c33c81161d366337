"""Looks at the participant's camera on a thread of its own, as often as its share of the processor allows."""

from __future__ import annotations

import threading
from collections.abc import Callable

from cvi.errors import CviError
from cvi.media.live_picture import LivePicture, Rgb
from cvi.perception.looker import MOST_SIDE_PX, CpuMeter, Looker
from cvi.perception.sight import Sight
from cvi.perception.watch_thread import WatchThread

MOST_LOOKS_PER_S, FEWEST_LOOKS_PER_S = 15.0, 3.0
BUDGET = 0.15
"""Of one core, for the mesh's process and this thread."""
_NICENESS = 5
_MEASURED_LOOKS = 15
_UNDER_LOAD = 3.0
"""A look that takes so many times its processor time is waiting for other work: the rate is halved."""


class CameraWatch:
    """From `start` to `stop`, `saw` is called on the watch's thread with every sight, and `failed` once with
    an error after which nothing more is seen. `now_s` is the conversation's clock."""

    def __init__(
        self,
        picture: LivePicture,
        make_looker: Callable[[], Looker],
        now_s: Callable[[], float],
        saw: Callable[[Sight, Rgb | None], None],
        failed: Callable[[CviError], None],
    ) -> None:
        self._picture = picture
        self._make_looker = make_looker
        self._now_s = now_s
        self._saw = saw
        thread = WatchThread("cvi-perception", _NICENESS, self._watch_until, failed)
        self.start, self.stop = thread.start, thread.stop
        self.looks_per_s = MOST_LOOKS_PER_S
        self.looks = 0
        self.used_s = 0.0
        """Processor time so far, seconds."""

    def _watch_until(self, stopped: threading.Event) -> None:
        looker = self._make_looker()
        try:
            self._watch(looker, stopped)
        finally:
            looker.close()

    def _watch(self, looker: Looker, stopped: threading.Event) -> None:
        count = -1
        meter: CpuMeter | None = None
        while not stopped.is_set():
            began_s = self._now_s()
            newest = self._picture.count
            rgb = self._picture.rgb(MOST_SIDE_PX) if newest != count else None
            count = newest
            self._saw(looker.look(rgb, began_s), looker.rgb)
            self.looks += 1
            took_s = self._now_s() - began_s
            if meter is None:
                meter = CpuMeter(looker.pid)  # the first look started the process
                measured, wall_s = 0, 0.0
            else:
                measured, wall_s = measured + 1, wall_s + took_s
                if measured == _MEASURED_LOOKS:
                    used_s = meter.used_s()
                    self.used_s += used_s
                    self._adapt(used_s / measured, wall_s / measured)
                    meter, measured, wall_s = CpuMeter(looker.pid), 0, 0.0
            stopped.wait(max(1 / self.looks_per_s - took_s, 0.005))

    def _adapt(self, cost_s: float, wall_s: float) -> None:
        rate = BUDGET / max(cost_s, 1e-4)
        if wall_s > _UNDER_LOAD * max(cost_s, 1e-3):
            rate /= 2
        self.looks_per_s = min(MOST_LOOKS_PER_S, max(FEWEST_LOOKS_PER_S, rate))
