"""Films of one recorder, joined to one: the parts of a conversation whose process was lost in between."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from cvi.errors import CviError
from cvi.media.encode import disk_errors

if TYPE_CHECKING:
    from av.stream import Stream


def next_part(path: Path) -> Path:
    """Where a recording is made that goes on from those that are there: `recording.part2.mp4`, ..."""
    number = 1
    part = path
    while part.exists():
        number += 1
        part = path.with_name(f"{path.stem}.part{number}{path.suffix}")
    return part


def join_parts(path: Path) -> None:
    """Join a recording with the parts that `next_part` named, in their place. Blocks. Raises CviError."""
    found = path.parent.glob(f"{path.stem}.part*{path.suffix}")
    parts = sorted(found, key=lambda part: (len(part.name), part.name))
    films = [film for film in (path, *parts) if _plays(film)]
    if parts and len(films) > 1:
        join_films(films, path)
    elif parts and films:
        films[0].replace(path)
    for part in parts:
        part.unlink(missing_ok=True)


def _plays(film: Path) -> bool:
    """Whether it holds anything: a process may be lost before its first half second is written."""
    import av

    try:
        with av.open(str(film)) as source:
            return next(source.demux(video=0), None) is not None
    except (OSError, ValueError):  # av's own errors are children of these
        return False


def join_films(parts: Sequence[Path], output: Path) -> None:
    """Copy films of the same encoder one after the other into one, whole or not at all.

    Pictures and sound are not encoded again. Raises CviError.
    """
    import av

    partial = output.absolute().parent / f".{output.stem}-{os.getpid()}.mp4"
    try:
        with disk_errors(output), av.open(str(partial), "w", options={"movflags": "+faststart"}) as target:
            copies: dict[str, Stream] = {}
            last_s: dict[str, Fraction] = {}
            begins_s = Fraction(0)
            for part in parts:
                ends_s = begins_s
                with av.open(str(part)) as source:
                    streams = [*source.streams.video[:1], *source.streams.audio[:1]]
                    for stream in streams:
                        if stream.type not in copies:
                            copies[stream.type] = target.add_stream_from_template(stream)
                    for packet in source.demux(streams):
                        if packet.dts is None or packet.pts is None or packet.is_corrupt:
                            continue
                        base = packet.time_base
                        later = round(begins_s / base)
                        at_s = (packet.dts + later) * base
                        if at_s <= last_s.get(packet.stream.type, at_s - 1):
                            continue  # an encoder's first block of sound, which only primes a decoder
                        last_s[packet.stream.type] = at_s
                        packet.pts, packet.dts = packet.pts + later, packet.dts + later
                        ends_s = max(ends_s, (packet.pts + (packet.duration or 0)) * base)
                        packet.stream = copies[packet.stream.type]
                        target.mux(packet)
                begins_s = ends_s
            if not begins_s:
                raise CviError(f"There is nothing in the recording {parts[0]}.", "It ended at once.")
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
