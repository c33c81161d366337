"""Audio passthrough: sound that an application gives, while it is still coming, is spoken as replies."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import Resampler
from cvi.conversation.replies import Replies
from cvi.conversation.reply import Reply
from cvi.errors import UsageError
from cvi.tts.base import Speech

MAX_UTTERANCE_S = 300.0
"""An utterance is kept whole while it is heard: 48 kB a second."""
MAX_WAITING = 16
"""Utterances that may wait to be heard."""
LEAD_S = 0.2
"""How much of an utterance must be there before it starts: frames are drawn ahead, and pieces may be late."""
_CUT_REMEMBERED = 64


class PassthroughVoice:
    """One utterance as a TtsEngine that speaks its sound, whatever the text. Event loop only.

    Sound may come faster or slower than it is heard. It has no phones, so the mouth is read from the sound.
    """

    name = "passthrough"

    def __init__(self, utterance: str, rate_hz: int) -> None:
        self.utterance = utterance
        self.rate_hz = rate_hz
        self.taken = 0
        """Samples given so far, at `rate_hz`."""
        self._resampler = Resampler(rate_hz, PLAYED_HZ)
        self._pieces: deque[Pcm] = deque()
        self._whole = False
        self._changed = asyncio.Event()

    def push(self, pcm: Pcm) -> None:
        """Add int16 mono at `rate_hz`. Raises UsageError for more than MAX_UTTERANCE_S in all."""
        if self.taken + len(pcm) > MAX_UTTERANCE_S * self.rate_hz:
            raise UsageError(
                f"An utterance lasts at most {MAX_UTTERANCE_S:.0f} s.", "End it, and begin another."
            )
        self.taken += len(pcm)
        self._add(self._resampler.push(pcm))

    def finish(self) -> None:
        """Note that nothing more comes."""
        if not self._whole:
            self._whole = True
            self._add(self._resampler.flush())
            self._changed.set()

    def _add(self, pcm: Pcm) -> None:
        if len(pcm):
            self._pieces.append(pcm)
            self._changed.set()

    async def warm(self) -> None:
        """Nothing: there is no engine behind it."""

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """The sound as it comes, at PLAYED_HZ."""
        while not self._whole and self.taken < LEAD_S * self.rate_hz:
            self._changed.clear()
            await self._changed.wait()
        while self._pieces or not self._whole:
            while self._pieces:
                yield Speech(self._pieces.popleft())
            if not self._whole:
                self._changed.clear()
                await self._changed.wait()

    def close(self) -> None:
        """End the utterance."""
        self.finish()


class AudioPassthrough:
    """Utterances in the order they came, each a reply of its own. Event loop only.

    When one is cut, those that wait are dropped with it, and sound of theirs that comes later is ignored.
    """

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._started: tuple[PassthroughVoice, Reply] | None = None
        self._waiting: deque[PassthroughVoice] = deque()
        self._open: PassthroughVoice | None = None
        """The one whose sound is still coming."""
        self._dropped: deque[str] = deque(maxlen=_CUT_REMEMBERED)

    def would_start(self, pcm: Pcm, utterance: str) -> bool:
        """Whether `play` would start an utterance now, so that another reply must be cut first."""
        self._notice_cut()
        heard = self._started is not None and self._started[1].alive
        return len(pcm) > 0 and not heard and utterance not in self._dropped

    def play(self, pcm: Pcm, rate_hz: int, utterance: str, done: bool) -> None:
        """Take int16 mono at `rate_hz` of `utterance`; another name ends it and begins another.

        Raises UsageError for another rate within an utterance, for one that is too long, and where too
        many wait.
        """
        self._notice_cut()
        if utterance and utterance in self._dropped:
            return
        sound = self._open
        if sound is None or sound.utterance != utterance:
            if not len(pcm):
                return
            if len(self._waiting) >= MAX_WAITING:
                raise UsageError(f"{MAX_WAITING} utterances wait to be heard.", "Wait, or interrupt.")
            self._end_open()
            sound = self._open = PassthroughVoice(utterance, rate_hz)
            sound.push(pcm)
            self._waiting.append(sound)
        elif sound.rate_hz != rate_hz:
            raise UsageError("`sample_rate` must stay the same within an utterance.")
        else:
            sound.push(pcm)
        if done:
            self._end_open()
        self.start_next()

    def start_next(self) -> None:
        """Start the next utterance, unless one is being heard."""
        self._notice_cut()
        if self._started is not None and self._started[1].alive:
            return
        self._started = None
        if self._waiting:
            sound = self._waiting.popleft()
            self._started = (sound, self._replies.play(sound, sound.utterance))

    def _end_open(self) -> None:
        if self._open is not None:
            self._open.finish()
            self._open = None

    def _notice_cut(self) -> None:
        if self._started is None or self._started[1].state != "interrupted":
            return
        cut = [self._started[0], *self._waiting]
        self._dropped.extend(each.utterance for each in cut if each.utterance)
        self._waiting.clear()
        self._end_open()
        self._started = None
