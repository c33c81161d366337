"""What the far end is told at its beginning: one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cvi.bench.probe.tap import MouthBox
from cvi.transport.scenario import Segment

# Of the process's pipes: an offer is a few thousand bytes.
LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class RemotePeerSpec:
    """One call. `size` (width, height) is the face's, which `mouth` is about; without a mouth no picture is
    taken down. `bed` is the room's noise, `echo_db` and `echo_delay_ms` as in `RoomSound`. What was taken
    down is written to `evidence`."""

    session: str
    fps: int
    size: tuple[int, int]
    audio: Path
    segments: tuple[Segment, ...]
    evidence: Path
    mouth: MouthBox | None = None
    bed: Path | None = None
    echo_db: float | None = None
    echo_delay_ms: float = 0.0

    def as_line(self) -> str:
        return json.dumps(asdict(self), default=str)

    @staticmethod
    def of_line(line: str) -> RemotePeerSpec:
        """What `as_line` wrote."""
        told = json.loads(line)
        return RemotePeerSpec(
            session=told["session"],
            fps=told["fps"],
            size=(told["size"][0], told["size"][1]),
            audio=Path(told["audio"]),
            segments=tuple(Segment(**segment) for segment in told["segments"]),
            evidence=Path(told["evidence"]),
            mouth=MouthBox(**told["mouth"]) if told["mouth"] is not None else None,
            bed=Path(told["bed"]) if told["bed"] is not None else None,
            echo_db=told["echo_db"],
            echo_delay_ms=told["echo_delay_ms"],
        )
