"""The beginning of a film as a film of its own, copied and not encoded again."""

from __future__ import annotations

from pathlib import Path

from cvi.errors import UsageError
from cvi.media.decode import opened

OPENING_S = 30.0
"""How long the statement at the beginning of a training film may be."""


def cut_opening(film: Path, path: Path, seconds: float = OPENING_S) -> None:
    """Write the first `seconds` of picture and sound as Matroska, whole or not at all. Raises UsageError."""
    import av

    part = path.with_name(f".{path.name}.part")
    try:
        with opened(film, "film") as source, av.open(str(part), "w", format="matroska") as copy:
            began_s = (source.start_time or 0) / 1e6
            tracks = [*source.streams.video[:1], *source.streams.audio[:1]]
            copies = {track.index: copy.add_stream_from_template(track) for track in tracks}
            late: set[int] = set()
            for packet in source.demux(tracks):
                if packet.dts is None or packet.time_base is None:
                    continue
                if float(packet.dts * packet.time_base) - began_s > seconds:
                    late.add(packet.stream.index)
                    if len(late) == len(copies):
                        break
                    continue
                packet.stream = copies[packet.stream.index]
                copy.mux(packet)
        part.replace(path)
    except (av.error.FFmpegError, ValueError) as error:
        raise UsageError(
            "The beginning of the footage cannot be kept as the consent.",
            "Give the consent as a film of its own: consent_video_url.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
