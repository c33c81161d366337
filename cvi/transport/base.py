"""What a transport must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Literal, Protocol, runtime_checkable

from cvi.audio.block import AudioBlock
from cvi.media.frames import AVUnit
from cvi.media.live_picture import LivePicture

PictureName = Literal["camera", "screen"]


@runtime_checkable
class ShowsPictures(Protocol):
    """A transport through which the participant can be seen."""

    @property
    def pictures(self) -> Mapping[PictureName, LivePicture]:
        """What the participant shows, once the transport is open: newest frame only."""


class Transport(Protocol):
    """All methods are called from the event loop. The transport owns the one playout clock."""

    name: str
    fps: int

    @property
    def caller_over(self) -> bool:
        """The recorded caller has nothing more to say (always False for a live one)."""

    async def open(self) -> None:
        """Take the devices or files. Raises MissingError, UsageError."""

    def microphone(self) -> AsyncIterator[AudioBlock]:
        """The participant's sound in blocks of HOP_SAMPLES, timed on the conversation's clock.

        Ends when the participant has left or the file is over.
        """

    async def due(self, index: int) -> float:
        """Return when unit `index` should be handed over: just before it is shown and heard.

        The value is the conversation time at which it will be seen and heard; `index / fps` where the
        transport keeps the clock's pace, later where a device lags behind it.
        """

    def present(self, unit: AVUnit) -> None:
        """Show and play a unit. Returns at once; at most 200 ms of media waits behind it."""

    def heard_s(self) -> float:
        """The conversation time up to which presented sound has been heard."""

    def flush(self) -> None:
        """Forget sound that was presented but not heard yet (the reply was cut); fade what is playing."""

    def reply_ended(self) -> None:
        """A reply was finished or cut: a waiting caller may go on."""

    def notify(self, event: str, text: str = "") -> None:
        """Something to show beside the picture: captions, state. Transports without a display ignore it."""

    async def close(self) -> None:
        """Release everything; finish what is being written. Safe to call twice."""
