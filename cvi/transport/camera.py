"""The participant's camera: a device, or a film in its place. The latest frame wins."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from cvi.errors import MissingError
from cvi.media.frames import Frame
from cvi.media.inset import PictureSource
from cvi.media.live_picture import Rgb
from cvi.media.readers import VideoReader, fit

START_TIMEOUT_S = 5.0
CAPTURE_FPS = 25


class Webcam:
    """Camera number `device`, read on a thread of its own; frames I420, BT.709 limited range.

    Frames are fitted into `room` (width, height), pixels. The constructor raises MissingError.
    """

    def __init__(self, device: int, room: tuple[int, int]) -> None:
        import cv2

        self.size = (0, 0)
        self._room = room
        self._latest: Frame | None = None
        self._image: Rgb | None = None
        self.count = 0
        self._closed = False
        self._changed = threading.Condition()
        self._capture = cv2.VideoCapture(device)
        if not self._capture.isOpened():
            self._capture.release()
            raise MissingError(
                f"Camera {device} cannot be opened.",
                "See `cvi devices` for the ones there are; close other programs that use it.",
            )
        self._capture.set(cv2.CAP_PROP_FPS, CAPTURE_FPS)
        self._thread = threading.Thread(target=self._read, name="cvi-camera", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._latest is not None or self._closed, START_TIMEOUT_S)
        if self._latest is None:
            self.close()
            raise MissingError(f"Camera {device} gives no picture.", "Try another one, see `cvi devices`.")

    def at(self, time_s: float, *, patience_s: float = 0.0) -> Frame | None:
        """The newest frame, whatever the time."""
        with self._changed:
            return self._latest

    def rgb(self, most_side_px: int) -> Rgb | None:
        """As `LivePicture.rgb`; None once the camera is gone."""
        import cv2

        with self._changed:
            image = self._image
        if image is None:
            return None
        scale = min(1.0, most_side_px / max(image.shape[:2]))
        if scale < 1.0:
            image = np.asarray(
                cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
            )
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        """Stop capturing and let go of the device."""
        with self._changed:
            self._closed = True
        self._thread.join(timeout=5)

    def _read(self) -> None:
        import av
        from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

        reformatter = VideoReformatter()
        while not self._closed:
            there, image = self._capture.read()
            if not there:
                break
            if self.size == (0, 0):
                self.size = fit(image.shape[1], image.shape[0], *self._room)
            whole = av.VideoFrame.from_ndarray(image, format="bgr24")
            small = reformatter.reformat(
                whole,
                *self.size,
                "yuv420p",
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            with self._changed:
                self._image, self.count = image, self.count + 1
                self._latest = small.to_ndarray().astype("uint8", copy=False)
                self._changed.notify_all()
        self._capture.release()
        with self._changed:
            self._closed, self._image = True, None
            self._changed.notify_all()


def open_camera(camera: int | Path, room: tuple[int, int]) -> PictureSource:
    """A device by its number, a film by its path. Blocks. Raises MissingError, UsageError."""
    return Webcam(camera, room) if isinstance(camera, int) else VideoReader(camera, room)
