"""Speech that an application gives as sound, while it is still coming: it stands in the voice's place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.audio.resample import Resampler
from cvi.conversation.reply import Reply
from cvi.errors import UsageError
from cvi.tts.base import Speech, TtsEngine

MOST_S = 300.0
"""An utterance is kept whole while it is heard: 48 kB a second."""
MOST_WAITING = 16
LEAD_S = 0.2
"""So much is there before the first of it is heard: frames are drawn ahead, and pieces may be late."""
_FORGOTTEN = 64


class GivenSound:
    """One utterance, in the place of a voice (TtsEngine). Event loop only.

    Sound may come faster or slower than it is heard. The mouth follows the sound: there are no phones.
    """

    name = "given"

    def __init__(self, utterance: str, rate_hz: int) -> None:
        self.utterance = utterance
        self.rate_hz = rate_hz
        self.taken = 0
        """Samples so far, at `rate_hz`."""
        self._resampler = Resampler(rate_hz, PLAYED_HZ)
        self._pieces: deque[Pcm] = deque()
        self._whole = False
        self._changed = asyncio.Event()

    def push(self, pcm: Pcm) -> None:
        """Add int16 mono at `rate_hz`. Raises UsageError for more than MOST_S in all."""
        if self.taken + len(pcm) > MOST_S * self.rate_hz:
            raise UsageError(f"An utterance lasts at most {MOST_S:.0f} s.", "End it, and begin another.")
        self.taken += len(pcm)
        self._add(self._resampler.push(pcm))

    def finish(self) -> None:
        """Nothing more comes."""
        if not self._whole:
            self._whole = True
            self._add(self._resampler.flush())
            self._changed.set()

    def _add(self, pcm: Pcm) -> None:
        if len(pcm):
            self._pieces.append(pcm)
            self._changed.set()

    async def warm(self) -> None:
        """There is nothing to build."""

    async def speak(self, text: str) -> AsyncIterator[Speech]:
        """The sound as it comes, whatever the text."""
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
        self.finish()


class AudioPassthrough:
    """Utterances in the order they came, each a reply of its own. Event loop only.

    `stage(sound)` makes a reply of one and gives it the stage. Where one is cut, those that wait are
    dropped with it, and what still comes of them is passed over.
    """

    def __init__(self, stage: Callable[[TtsEngine, str], Reply]) -> None:
        self._stage = stage
        self._staged: tuple[GivenSound, Reply] | None = None
        self._waiting: deque[GivenSound] = deque()
        self._open: GivenSound | None = None
        """The one that is still being given."""
        self._dropped: deque[str] = deque(maxlen=_FORGOTTEN)

    def begins(self, pcm: Pcm, utterance: str) -> bool:
        """Whether `play` would have to take the stage from something else."""
        self._notice_cut()
        heard = self._staged is not None and self._staged[1].alive
        return len(pcm) > 0 and not heard and utterance not in self._dropped

    def play(self, pcm: Pcm, rate_hz: int, utterance: str, done: bool) -> None:
        """Sound of `utterance`; another name ends it and begins another. Raises UsageError."""
        self._notice_cut()
        if utterance and utterance in self._dropped:
            return
        sound = self._open
        if sound is None or sound.utterance != utterance:
            if not len(pcm):
                return
            if len(self._waiting) >= MOST_WAITING:
                raise UsageError(f"{MOST_WAITING} utterances wait to be heard.", "Wait, or interrupt.")
            self._end_open()
            sound = self._open = GivenSound(utterance, rate_hz)
            sound.push(pcm)
            self._waiting.append(sound)
        elif sound.rate_hz != rate_hz:
            raise UsageError("`sample_rate` must stay the same within an utterance.")
        else:
            sound.push(pcm)
        if done:
            self._end_open()
        self.go_on()

    def go_on(self) -> None:
        """Give the stage to the next one, if it is free for it."""
        self._notice_cut()
        if self._staged is not None and self._staged[1].alive:
            return
        self._staged = None
        if self._waiting:
            sound = self._waiting.popleft()
            self._staged = (sound, self._stage(sound, sound.utterance))

    def _end_open(self) -> None:
        if self._open is not None:
            self._open.finish()
            self._open = None

    def _notice_cut(self) -> None:
        if self._staged is None or self._staged[1].state != "interrupted":
            return
        cut = [self._staged[0], *self._waiting]
        self._dropped.extend(each.utterance for each in cut if each.utterance)
        self._waiting.clear()
        self._end_open()
        self._staged = None
