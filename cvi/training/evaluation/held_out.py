"""Measuring a replica on frames it was not trained on, in two ways.

*Pasted*: the lower face drawn anew into the held-out frames themselves, with the true mouth, with the one
predicted from the sound, and with the script's. *Idle*: the replica as it is used, its clips speaking the
held-out sound. The movement of the lips is tracked in the resulting pictures. Each mode is drawn, tracked and
measured in one pass over the held-out frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.neural.renderer import NeuralEngine
from cvi.face.neural.rig import RIG, MouthMap, load_rig
from cvi.face.planes import to_i420, to_rgb
from cvi.perception.face_detection import FaceTracker
from cvi.training.arrays import Bytes, Floats
from cvi.training.evaluation.quality_metrics import (
    amplitude,
    correlation,
    gradient_similarity,
    jitter,
    lag_frames,
    ms_ssim,
    psnr,
    sharpness,
    ssim,
)
from cvi.training.footage.face_geometry import LIPS, NOSE_BASE, frontal
from cvi.training.footage.mouth_space import upright_opening
from cvi.training.footage.preparation import PreparedFootage
from cvi.training.footage.reader import Footage, FootageFrame
from cvi.training.model.onnx_network import FrameInpainter

LEAST_FRAMES = 25


@dataclass(frozen=True, slots=True)
class RequestedMouths:
    """Controls for each frame of the footage: `from_sound`, and `from_script` where the script is known;
    `closures_s` the middles of its P, B and M."""

    from_sound: Sequence[Controls]
    from_script: Sequence[Controls] | None = None
    closures_s: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`figures`: mode -> measure -> value; `frames` held-out frames measured; `samples` for the report."""

    figures: dict[str, dict[str, float]]
    frames: int
    samples: tuple[ReportSample, ...]


def evaluate(
    folder: Path,
    prepared: PreparedFootage,
    footage: Footage,
    requested: RequestedMouths,
    tracker: Callable[[], FaceTracker],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Evaluation:
    """Measure the replica in `folder`; `tracker` makes a face tracker for each sequence of frames.

    Raises UsageError where fewer than `LEAST_FRAMES` frames were held out.
    """
    chosen = np.flatnonzero(prepared.test)
    if len(chosen) < LEAST_FRAMES:
        raise UsageError(
            f"Only {len(chosen)} frames were held out; {LEAST_FRAMES} are the least to measure.",
            "Train with a larger --hold-out.",
        )
    sequences = 4 if requested.from_script is None else 5
    measuring = HeldOutMeasurement(
        folder, prepared, footage, requested.from_sound, chosen, tracker, progress, sequences
    )
    truth = measuring.track(measuring.true_frames())
    pasted = measuring.pasted("pasted", prepared.mouth[chosen], truth)
    from_sound = measuring.pasted("from sound", measuring.mouths(requested.from_sound), truth)
    by_script = {}
    if requested.from_script is not None:
        by_script = {
            "by script": measuring.pasted("by script", measuring.mouths(requested.from_script), truth)
        }
    idle = measuring.idle(truth)
    figures = {
        "pasted": pasted,
        "from sound": from_sound,
        **by_script,
        "idle": idle,
        "swap": measuring.swapped(truth),
        "rest": measuring.rest(),
    }
    near = (round(at * prepared.fps - 0.5) for at in requested.closures_s)
    spots = [spot for spot in near if prepared.test[_in(spot, prepared)]]
    if spots:
        for mode in ("truth", "pasted", "from sound", *by_script, "idle"):
            figures.setdefault(mode, {})["closure_share"] = measuring.closure(mode, spots)
            figures[mode]["closures"] = float(len(spots))
    return Evaluation(figures, len(chosen), tuple(measuring.samples()))


def _in(index: int, prepared: PreparedFootage) -> int:
    return min(max(index, 0), len(prepared) - 1)


SWAPS = 60
_HEAD = 1.25
"""Face widths from the base of the nose to each side of the head's box."""
_CLOSED = 0.15
"""Of the way from closed lips to the person's widest opening: less counts as closed."""
_CLOSURE_S = 0.040
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class ReportSample:
    """One held-out frame for the report: crops (side, side, 3) and whole frames, RGB."""

    time_s: float
    truth: Bytes
    pasted: Bytes
    from_sound: Bytes
    frame: Bytes
    frame_pasted: Bytes
    frame_idle: Bytes


class HeldOutMeasurement:
    """One evaluation. Its modes are measured one after the other, the true frames and `pasted` first."""

    def __init__(
        self,
        folder: Path,
        prepared: PreparedFootage,
        footage: Footage,
        controls: Sequence[Controls],
        chosen: npt.NDArray[np.intp],
        tracker: Callable[[], FaceTracker],
        progress: Callable[[int, int], None],
        sequences: int,
    ) -> None:
        """`controls` of each frame of the footage, for the replica as it is used; `chosen` the held-out
        frames; `sequences` of all of them will be tracked."""
        self._folder, self._prepared, self._footage = folder, prepared, footage
        self._controls, self._chosen, self._tracker = controls, chosen, tracker
        self._painter = FrameInpainter(folder, prepared.side)
        self.mouth: MouthMap = load_rig(folder / RIG).mouth
        self._progress, self._done, self._all = progress, 0, sequences * len(chosen) + SWAPS
        self._openings: dict[str, Floats] = {}
        picks = np.linspace(0, len(chosen) - 1, _SHOWN + 2).astype(int)[1:-1]
        self._picks = {int(pick): [] for pick in picks}  # type: dict[int, list[Bytes]]
        self._places: Floats = np.zeros((0,), np.float32)

    def true_frames(self) -> Iterator[Bytes]:
        """The held-out frames, RGB, in order."""
        for frame in self._frames():
            yield frame.rgb

    def track(self, frames: Iterator[Bytes]) -> Floats:
        """Landmarks (n, 478, 3) of a sequence; NaN where no face is found."""
        tracker = self._tracker()
        rows: list[Floats] = []
        try:
            for rgb in frames:
                seen = tracker.see(np.ascontiguousarray(rgb)).landmarks
                rows.append(np.full((478, 3), np.nan, np.float32) if seen is None else seen)
                self._done += 1
                self._progress(self._done, self._all)
        finally:
            tracker.close()
        return np.stack(rows)

    def mouths(self, controls: Sequence[Controls]) -> Floats:
        """The mouths (n, k) of the controls of each held-out frame."""
        return np.stack([self.mouth(controls[int(index)]) for index in self._chosen])

    def pasted(self, mode: str, mouths: Floats, truth: Floats) -> dict[str, float]:
        """Figures of the lower face drawn into each held-out frame with `mouths` (n, k)."""
        prepared = self._prepared
        box = prepared.lip_box
        sums: dict[str, list[float]] = {}

        def note(name: str, value: float) -> None:
            sums.setdefault(name, []).append(value)

        def draw() -> Iterator[Bytes]:
            for place, frame in enumerate(self._frames()):
                matrix = prepared.matrices[frame.index]
                picture = self._painter.crop(frame.rgb, matrix)
                reach, region = prepared.reach[frame.index], prepared.region(frame.index)
                drawn = self._painter.draw(picture, reach, mouths[place])
                share = region.mask[..., None]
                shown = np.clip(picture * (1 - share) + drawn * share, 0, 255).astype(np.float32)
                note("hidden_psnr_db", psnr(shown, picture, region.hidden > 0.5))
                note("lips_psnr_db", psnr(shown[box], picture[box]))
                note("lips_ssim", ssim(shown[box], picture[box]))
                note("lips_ms_ssim", ms_ssim(shown[box], picture[box]))
                note("lips_gradient_similarity", gradient_similarity(shown[box], picture[box]))
                note("lips_sharpness", sharpness(shown[box]) / max(sharpness(picture[box]), 1e-6))
                whole = to_i420(frame.rgb)
                same = to_rgb(whole)
                self._painter.paste(whole, drawn, matrix, reach)
                result = to_rgb(whole)
                rows, columns = self._head_box(truth[place], frame.rgb.shape)
                note("head_psnr_db", psnr(result[rows, columns], same[rows, columns]))
                if place in self._picks:
                    self._picks[place] += [picture, shown.astype(np.uint8), frame.rgb, result]
                yield result

        found = self.track(draw())
        figures = {name: float(np.mean(values)) for name, values in sums.items()}
        figures |= self._lips(found, truth)
        self._openings[mode] = self._opened(found)
        return figures

    def idle(self, truth: Floats) -> dict[str, float]:
        """Figures of the replica as it is used: its own clips, the held-out sound."""
        face = NeuralEngine(FaceSettings(self._folder, *self._prepared.size, round(self._prepared.fps)))

        def draw() -> Iterator[Bytes]:
            for place, index in enumerate(self._chosen.tolist()):
                controls = replace(
                    self._controls[index], moment_s=place / self._prepared.fps, activity="speaking"
                )
                shown = to_rgb(face.render(controls))
                if place in self._picks:
                    self._picks[place].append(shown)
                yield shown

        try:
            found = self.track(draw())
        finally:
            face.close()
        self._openings["idle"] = self._opened(found)
        return self._moves(found, truth)

    def swapped(self, truth: Floats) -> dict[str, float]:
        """Correlations of the lips with the requested mouth and with the frame beneath, which shows another
        one."""
        count = min(SWAPS, len(self._chosen))
        true = self._opened(truth)
        bases, mouths = uncorrelated_pairs(true, count)
        mouth_of = dict(zip(bases.tolist(), mouths.tolist(), strict=True))

        def draw() -> Iterator[Bytes]:
            for place, frame in enumerate(self._frames()):
                if place not in mouth_of:
                    continue
                matrix = self._prepared.matrices[frame.index]
                mouth = self._prepared.mouth[int(self._chosen[mouth_of[place]])]
                reach = self._prepared.reach[frame.index]
                drawn = self._painter.draw(self._painter.crop(frame.rgb, matrix), reach, mouth)
                whole = to_i420(frame.rgb)
                self._painter.paste(whole, drawn, matrix, reach)
                yield to_rgb(whole)

        shown = self._opened(self.track(draw()))
        good = np.isfinite(shown) & np.isfinite(true[bases]) & np.isfinite(true[mouths])
        return {
            "follows_asked": correlation(shown[good], true[mouths][good]),
            "follows_base": correlation(shown[good], true[bases][good]),
        }

    def rest(self) -> dict[str, float]:
        """How far the requested coefficients move in silence; 0, since the map does not depend on time."""
        still = [self.mouth(Controls(moment_s=moment)) for moment in (0.0, 1.0, 2.0)]
        gaps = [float(np.abs(a - still[0]).max()) for a in still]
        return {"asked_movement": max(gaps)}

    def closure(self, mode: str, spots: Sequence[int]) -> float:
        """The share of P, B and M (`spots` frames) with closed lips within 40 ms."""
        opened = self._openings[mode]
        true = self._openings["truth"]
        low, high = np.nanpercentile(true, [2, 95])
        bound = low + _CLOSED * (high - low)
        reach = max(1, round(_CLOSURE_S * self._prepared.fps))
        place = {int(index): k for k, index in enumerate(self._chosen)}
        met = 0
        for spot in spots:
            near = [place[i] for i in range(spot - reach, spot + reach + 1) if i in place]
            met += bool(near) and bool(np.nanmin(opened[near]) <= bound)
        return met / len(spots)

    def samples(self) -> Iterator[ReportSample]:
        """Some held-out frames in all modes, for the report."""
        for pick, parts in sorted(self._picks.items()):
            truth, pasted, frame, whole, _, from_sound, *_, idle = parts
            time_s = int(self._chosen[pick]) / self._prepared.fps
            yield ReportSample(time_s, truth, pasted, from_sound, frame, whole, idle)

    def _frames(self) -> Iterator[FootageFrame]:
        fps = self._prepared.fps
        wanted = set(self._chosen.tolist())
        start_s, end_s = int(self._chosen[0]) / fps, (int(self._chosen[-1]) + 0.5) / fps
        for frame in self._footage.frames(fps, start_s=start_s, end_s=end_s):
            if frame.index in wanted:
                yield frame

    def _opened(self, landmarks: Floats) -> Floats:
        return upright_opening(landmarks, self._prepared.space.reference)

    def _head_box(self, landmarks: Floats, shape: tuple[int, ...]) -> tuple[slice, slice]:
        half = _HEAD * self._prepared.face_px
        x, y = shape[1] / 2, shape[0] / 2
        if np.isfinite(landmarks[NOSE_BASE, 0]):
            x, y = (float(value) for value in landmarks[NOSE_BASE, :2])
        return (
            slice(max(0, int(y - half)), min(shape[0], int(y + half))),
            slice(max(0, int(x - half)), min(shape[1], int(x + half))),
        )

    def _lips(self, found: Floats, truth: Floats) -> dict[str, float]:
        """The lips' movement, and their distance from the truth, scaled to a head of 512 px."""
        both = np.isfinite(found[:, 0, 0]) & np.isfinite(truth[:, 0, 0])
        gap = np.linalg.norm(found[both][:, list(LIPS), :2] - truth[both][:, list(LIPS), :2], axis=-1)
        return {
            "lip_distance_at_512_px": float(gap.mean() * 512 / (2 * _HEAD * self._prepared.face_px)),
            **self._moves(found, truth),
        }

    def _moves(self, found: Floats, truth: Floats) -> dict[str, float]:
        shown, true = self._opened(found), self._opened(truth)
        self._openings["truth"] = true
        both = np.isfinite(shown) & np.isfinite(true)
        lag, best = lag_frames(true[both], shown[both])
        return {
            "opening_correlation": correlation(true[both], shown[both]),
            "opening_amplitude": amplitude(true[both], shown[both]),
            "jitter": self._jitter(found) / max(self._jitter(truth), 1e-9),
            "lag_frames": float(lag),
            "correlation_at_lag": best,
            "faces_found": float(np.isfinite(found[:, 0, 0]).mean()),
        }

    def _jitter(self, landmarks: Floats) -> float:
        """Second difference of the lips in time, the head's pose removed."""
        good = landmarks[np.isfinite(landmarks[:, 0, 0])]
        return jitter(frontal(good, self._prepared.space.reference)[0][:, list(LIPS), :2])


def uncorrelated_pairs(
    openings: Floats, count: int, tries: int = 300
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """`count` frames and as many others whose openings hardly correlate, so that lips that follow the one do
    not seem to follow the other. `openings` (n,), NaN without a face. Best of `tries` draws."""
    rng = np.random.default_rng(5)
    seen = np.flatnonzero(np.isfinite(openings))
    pool = seen if len(seen) >= count else np.arange(len(openings))
    bases = np.sort(rng.choice(pool, count, replace=False))
    draws = [rng.choice(pool, count, replace=False) for _ in range(tries)]
    best = min(draws, key=lambda draw: abs(correlation(openings[draw], openings[bases])))
    return bases, best
