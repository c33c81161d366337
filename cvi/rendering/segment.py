"""A stretch of frames -> a piece of H.264 on disk. Pieces made alike can be joined without a new encoding."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from cvi.errors import CviError
from cvi.face.base import Controls, FaceEngine
from cvi.picture import av_frame

# No reordering, so that pieces join at any frame. A constant quantizer needs no look at the picture first:
# next to "crf" a frame takes three quarters of the time and half of the room, at 46 dB. "superfast" would
# halve the files once more and take twice as long.
X264 = {"preset": "ultrafast", "qp": "20", "bf": "0"}


def render_segment(
    face: FaceEngine, controls: Sequence[Controls], fps: int, path: Path, stopped: Callable[[], bool]
) -> bool:
    """Draw and encode the frames of one segment; the file appears whole or not at all.

    `stopped` is asked before each frame; returns whether the segment was finished. One thread owns the
    face. Raises CviError where the disk refuses.
    """
    import av

    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with av.open(str(part), "w", format="mp4") as file:
            stream = file.add_stream("libx264", rate=fps, options=dict(X264))
            stream.width, stream.height, stream.pix_fmt = face.width, face.height, "yuv420p"
            coder = stream.codec_context
            coder.thread_count = 1
            coder.gop_size = 2 * fps
            coder.time_base = Fraction(1, fps)
            coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range = 1, 1, 1, 1
            for index, control in enumerate(controls):
                if stopped():
                    return False
                image = av_frame(face.render(control))
                image.pts, image.time_base = index, coder.time_base
                file.mux(stream.encode(image))
            file.mux(stream.encode(None))
        part.replace(path)
    except (av.FFmpegError, OSError) as error:
        raise CviError(
            f"Cannot write {path}: {error.strerror or error}.", "Free some space and give the command again."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return True
