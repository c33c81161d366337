"""The conversation's clock: seconds since the conversation began, monotonic.

A clock is an argument, never a global. Under the virtual-time event loop of `cvi.testing` the same
class runs a 30-second conversation in milliseconds, because it only asks its loop for the time.
"""

from __future__ import annotations

import asyncio


class Clock:
    """Zero is the moment of construction, or of `restart`. Used on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self._zero = self._loop.time()

    def restart(self, at_s: float = 0.0) -> None:
        """Make the present moment `at_s`; called once, when the conversation begins or goes on."""
        self._zero = self._loop.time() - at_s

    def now(self) -> float:
        """Seconds since zero."""
        return self._loop.time() - self._zero

    async def sleep_until(self, when_s: float) -> None:
        """Return at `when_s`, at once if it has passed."""
        delay = when_s - self.now()
        if delay > 0:
            await asyncio.sleep(delay)
