"""What the probe recorded in one session: blocks of sound and pictures of the mouth, with times.

Times are seconds by the probe's own clock; a block's time is when it was handed over. Nothing here comes
from the program's journal, labels or presentation times.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, PLAYED_HZ, Pcm
from cvi.errors import UsageError
from cvi.files import replacing

Times = npt.NDArray[np.float64]
# Small pictures of the mouth, (n, rows, columns); int16 of 64 steps a grey level, so that none is lost.
Mouths = npt.NDArray[np.int16]
MOUTH_STEPS = 64
# A sound device evens out hand-overs that come within this of an even pace; the constant delay for which
# it does so is the device's own and not counted.
DEVICE_BUFFER_S = 0.020
_PACE_S = 2.0
_FADE_S = 0.005


@dataclass(frozen=True, slots=True)
class Evidence:
    """One session. `caller_pcm` (n, samples) at HEARD_HZ ends at `caller_times_s` (n,): a microphone's block
    is handed over when its last sample has been heard. `persona_pcm` (m, samples) at PLAYED_HZ begins at
    `frame_times_s` (m,), together with the frame whose mouth is `mouths[m]`; None without a picture.
    `flush_times_s`: what had been handed over and not played by then was never heard.

    At the far end of a network sound and picture come apart: there `sound_times_s` (k,) is exactly when each
    block of `persona_pcm` (k, samples) began to be heard, and `frame_times_s` when each picture was seen.
    """

    session: str
    fps: float
    caller_times_s: Times
    caller_pcm: Pcm
    frame_times_s: Times
    persona_pcm: Pcm
    mouths: Mouths | None
    flush_times_s: Times
    sound_times_s: Times | None = None

    def caller(self) -> SoundTrack:
        """The caller's blocks as one sound."""
        period_s = self.caller_pcm.shape[1] / HEARD_HZ
        return lay_blocks(evened(self.caller_times_s, period_s) - period_s, self.caller_pcm, HEARD_HZ)

    def persona(self) -> SoundTrack:
        """The persona's blocks as one sound."""
        return lay_blocks(self.sounded_s(), self.persona_pcm, PLAYED_HZ, self.flush_times_s)

    def sounded_s(self) -> Times:
        """When each block of the persona's sound began to be heard."""
        return self.shown_s() if self.sound_times_s is None else self.sound_times_s

    def shown_s(self) -> Times:
        """When each frame was seen, (m,), and where its sound came with it, when that began."""
        if self.sound_times_s is not None:
            return self.frame_times_s
        return evened(self.frame_times_s, 1 / self.fps)


def save_evidence(evidence: Evidence, path: Path) -> None:
    """Write all of it into one .npz, whole or not at all. Raises CviError."""
    fields = {field.name: getattr(evidence, field.name) for field in dataclasses.fields(evidence)}
    with replacing(path, durable=False) as part, part.open("wb") as file:
        np.savez_compressed(file, **{name: value for name, value in fields.items() if value is not None})


def load_evidence(path: Path) -> Evidence:
    """What `save_evidence` wrote. Raises UsageError for anything else."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            fields = dict(stored)
        session, fps = str(fields.pop("session")), float(fields.pop("fps"))
        return Evidence(session=session, fps=fps, mouths=fields.pop("mouths", None), **fields)
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise UsageError(f"{path} is no evidence of a session.", "Give a .npz of a run's folder.") from error


def stacked(blocks: list[Pcm], samples: int) -> Pcm:
    """Blocks of `samples` each as one array (n, samples)."""
    return np.stack(blocks) if blocks else np.zeros((0, samples), np.int16)


@dataclass(frozen=True, slots=True)
class SoundTrack:
    """A sound on the session's axis: `pcm[0]` is heard at `start_s`."""

    pcm: Pcm
    start_s: float
    rate_hz: int

    @property
    def end_s(self) -> float:
        """When its last sample has been heard."""
        return self.time_s(len(self.pcm))

    def between(self, from_s: float, to_s: float) -> Pcm:
        """The samples of a span, as far as the track goes."""
        first = max(round((from_s - self.start_s) * self.rate_hz), 0)
        last = max(round((to_s - self.start_s) * self.rate_hz), first)
        return self.pcm[first:last]

    def time_s(self, sample: int) -> float:
        """When the sample of this index is heard."""
        return self.start_s + sample / self.rate_hz


def evened(times_s: Times, period_s: float) -> Times:
    """Hand-over times without the small delays that a device's buffer evens out; larger ones stay."""
    late_s = lateness_s(times_s, period_s)
    return np.where(late_s <= DEVICE_BUFFER_S, times_s - late_s, times_s)


def lateness_s(times_s: Times, period_s: float) -> Times:
    """How much later than an even pace each block was handed over, (n,), 0 or more.

    The even pace at a block is that of the earliest hand-overs around it: nothing can come too early.
    """
    if not len(times_s):
        return times_s
    late = times_s - np.arange(len(times_s)) * period_s
    reach = round(_PACE_S / period_s)
    padded = np.pad(late, reach, constant_values=np.inf)
    pace = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    return np.asarray(late - pace)


def lay_blocks(starts_s: Times, blocks: Pcm, rate_hz: int, flushes_s: Times | None = None) -> SoundTrack:
    """Blocks (n, samples) put where they were heard. A later block covers what is left of an earlier one;
    where none was handed over there is silence. After a flush the rest of its block fades in 5 ms."""
    if not len(starts_s):
        return SoundTrack(np.zeros(0, np.int16), 0.0, rate_hz)
    samples = blocks.shape[1]
    # Not the first one's: where a session begins with a stall, the blocks after it may be set before it.
    begin_s = float(starts_s.min())
    places = np.rint((starts_s - begin_s) * rate_hz).astype(np.int64)
    pcm = np.zeros(int(places.max()) + samples, np.int16)
    for place, block in zip(places, blocks, strict=True):
        pcm[place : place + samples] = block
    track = SoundTrack(pcm, begin_s, rate_hz)
    for flush_s in flushes_s if flushes_s is not None else ():
        _silence_rest(track, places, samples, flush_s)
    return track


def _silence_rest(track: SoundTrack, places: npt.NDArray[np.int64], samples: int, flush_s: float) -> None:
    at = round((flush_s - track.start_s) * track.rate_hz)
    under_way = int(np.searchsorted(places, at, side="right")) - 1
    if under_way < 0 or at >= places[under_way] + samples:
        return
    end = int(places[under_way]) + samples
    if under_way + 1 < len(places):
        end = min(end, int(places[under_way + 1]))
    fade = max(min(round(_FADE_S * track.rate_hz), end - at), 0)
    track.pcm[at : at + fade] = track.pcm[at : at + fade] * np.linspace(1, 0, fade)
    track.pcm[at + fade : end] = 0
