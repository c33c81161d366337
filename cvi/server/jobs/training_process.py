"""The process that trains one replica: `python -m cvi.server.jobs.training_process`; its pipe is `child`'s.

It stops with everything kept that it did, on SIGTERM and when the server is gone; the same task goes on from
there. What it trains with is imported only in the child.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import BaseModel

from cvi.errors import CviError, UsageError
from cvi.files import locked, part_path
from cvi.paths import home
from cvi.server.jobs.child import Report, serve_child

NICENESS = 10
"""Conversations go before."""
REPORT_EVERY_S = 0.5
GONE_AFTER_S = 10.0
"""How long a stage may take to notice that the server is gone; the next server starts it anew."""
OPENING_S = 30.0
"""How long the statement of consent at the beginning of the footage may be."""


class TrainingTask(BaseModel):
    """A replica to train, with its files in `folder`.

    Without `consent` the footage's first `OPENING_S` are the consent. `consent_by` "" is nobody by name;
    `script` is what is read in the footage.
    """

    folder: Path
    film: Path
    consent: Path | None
    script: Path | None
    name: str
    consent_by: str
    quality: Literal["tiny", "standard", "high"]


def train(task: TrainingTask, report: Report) -> None:
    """Make the replica, or go on with it. Raises CviError, and KeyboardInterrupt when it was stopped."""
    # A process of a server that was killed may still be storing what it did.
    with locked(task.folder / ".lock"):
        _train(task, report)


def _train(task: TrainingTask, report: Report) -> None:
    from cvi.models.installed import installed_speech_encoder
    from cvi.training.pipeline import TrainingRequest, train_replica

    consent = task.consent or task.folder / "opening.mkv"
    if not consent.is_file():
        cut_opening(task.film, consent)
    last: tuple[str, float] = ("", 0.0)

    def progress(stage: str, done: int, of: int, note: str) -> None:
        nonlocal last
        if report.stopped.is_set() and stage != "train":
            raise KeyboardInterrupt
        now = time.monotonic()
        if stage != last[0] or now - last[1] >= REPORT_EVERY_S or done == of:
            last = stage, now
            report.progress(stage, done, of)

    made = train_replica(
        TrainingRequest(
            video=task.film,
            name=task.name,
            consent=str(consent),
            consent_by=task.consent_by or None,
            quality=task.quality,
            script=task.script,
            encoder=installed_speech_encoder(),
        ),
        progress,
        report.stopped.is_set,
    )
    if made is None:
        raise KeyboardInterrupt


def describe(error: CviError, task: TrainingTask) -> str:
    """What went wrong, for somebody who has not got this machine's paths and command line."""
    from cvi.training.grading.grader import GRADE

    graded = home() / "training" / task.name / GRADE
    if isinstance(error, UsageError) and graded.is_file():
        grade = json.loads(graded.read_text(encoding="utf-8"))
        if grade["verdict"] == "unusable":
            faults = [fault for fault in grade["faults"] if fault["fatal"]]
            texts = " ".join(f"{fault['said']} {fault['remedy']}" for fault in faults)
            return f"The footage is unusable: {texts}"
    text = str(error).replace(str(task.film), "the footage")
    if task.consent:
        text = text.replace(str(task.consent), "the consent")
    return text[:1].upper() + text[1:]


def cut_opening(film: Path, path: Path, seconds: float = OPENING_S) -> None:
    """Copy the first `seconds` of picture and sound into a Matroska file, whole or not at all.

    Nothing is encoded again. Raises UsageError for a film that cannot be copied so.
    """
    import av

    from cvi.media.decode import opened

    part = part_path(path)
    try:
        with opened(film, "film") as source, av.open(str(part), "w", format="matroska") as copy:
            began_s = (source.start_time or 0) / 1e6
            tracks = [*source.streams.video[:1], *source.streams.audio[:1]]
            copies = {track.index: copy.add_stream_from_template(track) for track in tracks}
            ended: set[int] = set()
            for packet in source.demux(tracks):
                if packet.dts is None or packet.time_base is None:
                    continue
                if float(packet.dts * packet.time_base) - began_s > seconds:
                    ended.add(packet.stream.index)
                    if len(ended) == len(copies):
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


def main() -> NoReturn:
    """The whole program."""
    os.nice(NICENESS)
    serve_child(TrainingTask, train, describe=describe, gone_after_s=GONE_AFTER_S)


if __name__ == "__main__":
    main()
