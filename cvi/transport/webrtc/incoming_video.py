"""The participant's pictures: camera and shared screen, of which only the newest frame is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from cvi.media.frames import Frame
from cvi.media.live_picture import Rgb
from cvi.media.readers import fit
from cvi.media.video import UprightConverter

if TYPE_CHECKING:
    from av import VideoFrame

Source = Literal["camera", "screen"]


class LatestFrame:
    """Filled by `follow` on the event loop; read from any thread. A `Picture` for the recorder's inset.

    `size` is that of the frames `at` gives: as large as fits into `room` (width, height), (0, 0) before
    the first one.
    """

    def __init__(self, room: tuple[int, int]) -> None:
        self.size = (0, 0)
        self.count = 0
        self._room = room
        self._newest: VideoFrame | None = None

    async def follow(self, track: MediaStreamTrack) -> None:
        """Take every frame of a track until it ends."""
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                self._newest = None
                return
            self._newest = frame  # type: ignore[assignment]
            self.count += 1

    @property
    def newest(self) -> VideoFrame | None:
        """The frame as it came; None before the first one and after the last."""
        return self._newest

    def at(self, time_s: float, *, patience_s: float = 0.0) -> Frame | None:
        """The newest frame, whatever the time, as I420 of `size`. Blocks for the scaling."""
        from av.video.reformatter import VideoReformatter

        frame = self._newest
        if frame is None:
            return None
        if self.size == (0, 0):
            self.size = fit(frame.width, frame.height, *self._room)
        small = VideoReformatter().reformat(frame, *self.size, "yuv420p")
        return small.to_ndarray().astype("uint8", copy=False)

    def rgb(self, most_side_px: int) -> Rgb | None:
        """As `LivePicture.rgb`."""
        frame = self._newest
        if frame is None:
            return None
        side = min(most_side_px, max(frame.width, frame.height))
        return UprightConverter(*fit(frame.width, frame.height, side, side)).rgb(frame)

    def close(self) -> None:
        """Stop reading the track."""
        self._newest = None
