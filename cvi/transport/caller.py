"""A recorded caller on the conversation's sample axis: when each sample of the file is heard.

Either the file runs on at its own pace, pauses and all; or, like a polite caller, each segment waits
until the reply to the one before has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.media.readers import AudioReader
from cvi.transport.scenario import Segment

# From the end of a reply to the caller's next words.
GAP_S = 0.6
# When nobody has answered for this long, a caller speaks again.
PATIENCE_S = 12.0
# A caller whom nobody greets speaks first.
UNGREETED_S = 3.0
_BYTES = 2  # a sample


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From `position` on, the file is heard from `file_at`; while it pauses it stays there."""

    position: int
    file_at: int
    moving: bool


class CallerTrack:
    """Samples at HEARD_HZ, position 0 is the conversation's beginning; event loop only.

    What has been read once never changes: a segment is always placed after everything already read.
    Without `segments` the file runs on at its own pace.
    """

    def __init__(
        self, sound: AudioReader, segments: Sequence[Segment] | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        self._sound = sound
        self._segments = segments
        self._patience = round(patience_s * HEARD_HZ)
        self._patience_ends = min(self._patience, round(UNGREETED_S * HEARD_HZ))
        self._number = 0
        self._starts_at: int | None = None
        # Samples as bytes, which grow at one end and shrink at the other without being copied each time:
        # where a machine cannot keep up, a minute of them may lie between what is heard and what is recorded.
        self._laid = bytearray()
        self._laid_from = 0
        self._stretches = [_Stretch(0, 0, segments is None)]
        self.over_at: int | None = None

    def read(self, start: int, stop: int) -> Pcm:
        """The samples of [start, stop). `start` must not lie before a `forget`."""
        assert start >= self._laid_from, f"position {start} has been forgotten"
        while self._laid_to < stop:
            pcm = self._speak(stop - self._laid_to) if self._speaking else self._pause(stop - self._laid_to)
            self._laid += pcm.tobytes()
        first, last = start - self._laid_from, stop - self._laid_from
        # Its own memory: whoever keeps a block of a turn must not keep everything that lay around it.
        return np.frombuffer(self._laid[first * _BYTES : last * _BYTES], np.int16)

    def forget(self, before: int) -> None:
        """Positions under `before` will not be read again."""
        cut = min(before, self._laid_to) - self._laid_from
        if cut > HEARD_HZ:
            del self._laid[: cut * _BYTES]
            self._laid_from += cut
            while len(self._stretches) > 1 and self._stretches[1].position <= self._laid_from:
                self._stretches.pop(0)

    def reply_ended(self, now_s: float) -> None:
        """The caller may go on, a moment later. Nothing happens while a segment is being spoken."""
        if not self._speaking and self.over_at is None:
            self._starts_at = max(round((now_s + GAP_S) * HEARD_HZ), self._laid_to)

    def persona_heard(self, until_s: float) -> None:
        """Something of a reply is heard up to `until_s`: the caller's patience begins anew.

        A caller whose next words go over the reply now knows when to speak them.
        """
        self._patience_ends = max(self._patience_ends, round(until_s * HEARD_HZ) + self._patience)
        if self._segments is None or self._speaking or self.over_at is not None:
            return
        into_reply_s = self._segments[self._number].into_reply_s
        if into_reply_s is not None and self._starts_at is None:
            self._starts_at = max(round((until_s + into_reply_s) * HEARD_HZ), self._laid_to)

    def file_s(self, position: int) -> float:
        """What moment of the caller's file is seen at `position`; it stands still in a pause."""
        stretch = next((s for s in reversed(self._stretches) if s.position <= position), self._stretches[0])
        run_s = position - stretch.position if stretch.moving else 0
        return (stretch.file_at + run_s) / HEARD_HZ

    @property
    def _speaking(self) -> bool:
        return self._stretches[-1].moving

    @property
    def _laid_to(self) -> int:
        return self._laid_from + len(self._laid) // _BYTES

    def _speak(self, count: int) -> Pcm:
        if self._segments is not None:
            count = min(count, round(self._segments[self._number].end_s * HEARD_HZ) - self._sound.at)
        pcm = self._sound.read(max(count, 0))
        segment_over = self._segments is not None and (
            self._sound.at >= round(self._segments[self._number].end_s * HEARD_HZ)
        )
        if segment_over or len(pcm) < count:
            self._fall_silent(self._laid_to + len(pcm), file_over=len(pcm) < count)
        return pcm

    def _fall_silent(self, position: int, *, file_over: bool) -> None:
        self._number += 1
        self._starts_at = None
        self._patience_ends = position + self._patience
        self._stretches.append(_Stretch(position, self._sound.at, False))
        if file_over or self._segments is None or self._number >= len(self._segments):
            self.over_at = position

    def _pause(self, count: int) -> Pcm:
        if self.over_at is not None:
            return np.zeros(count, np.int16)
        patience_ends = max(self._patience_ends, self._laid_to)
        starts_at = patience_ends if self._starts_at is None else min(self._starts_at, patience_ends)
        if starts_at > self._laid_to:
            return np.zeros(min(count, starts_at - self._laid_to), np.int16)
        assert self._segments is not None
        start = round(self._segments[self._number].start_s * HEARD_HZ)
        self._sound.skip_to(start)
        self._stretches.append(_Stretch(self._laid_to, self._sound.at, True))
        return np.zeros(0, np.int16)
