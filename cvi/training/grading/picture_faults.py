"""Faults in the picture: frame measures compared with the limits, and what is left of the film without
them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from cvi.training.arrays import Bools, Doubles, Floats
from cvi.training.footage.reader import Footage
from cvi.training.footage.spans import Span, flagged, moving_median, runs, spans, total_s
from cvi.training.grading.face_measures import face_width, head_pose, leaps
from cvi.training.grading.faults import FootageFault, GradingLimits
from cvi.training.grading.frame_measures import FrameMeasures

_LEAST_CHANGE = 0.5
"""Grey levels that noise and compression alone change."""
_LEAST_LEAP = 0.012
"""Face widths that tracking jitter alone moves the points."""
_SURE_CHANGE = 12.0
_PARTS = 12
_KEPT_SHARE = 0.9
_MOST_EXAMPLES = 400
_STRETCH_S, _MOST_STRETCHES = 6.0, 24
_COVERS_S = 0.4
"""Half of the stretch over which the median is taken."""


def cuts(measures: FrameMeasures, limits: GradingLimits) -> list[int]:
    """Frames before which the film was cut: picture and face jump in the same frame, and in that one only."""
    fresh = np.concatenate([[True], np.diff(measures.source_s) > 1e-6])
    change, leap = measures.change.copy(), np.nan_to_num(leaps(measures.track.landmarks), nan=0.0)
    half = max(round(0.5 * measures.track.fps), 2)
    index = np.flatnonzero(fresh)
    change_over = _over_usual(change[index], half, _LEAST_CHANGE)
    leap_over = _over_usual(leap[index], half, _LEAST_LEAP / 4)
    unusual = change_over > limits.cut_ratio
    both = unusual & (leap_over > limits.cut_ratio) & (leap[index] > _LEAST_LEAP)
    alone = unusual & (change[index] > _SURE_CHANGE)
    found: list[int] = []
    for place in np.flatnonzero(both | alone):
        # A quick movement takes several frames, a cut one. The larger of two neighbours counts.
        neighbours = [n for n in (place - 1, place + 1) if 0 < n < len(index)]
        if all(change[index[n]] < 0.6 * change[index[place]] for n in neighbours):
            found.append(int(index[place]))
    return found


def _over_usual(values: Doubles, half: int, least: float) -> Doubles:
    return np.asarray(values / np.maximum(moving_median(values, half), least), np.float64)


def flickers(measures: FrameMeasures, limits: GradingLimits) -> Bools:
    """Frames in whose second the brightness of the whole picture goes up and down."""
    change = np.abs(measures.brightness)
    half = max(round(measures.track.fps / 2), 2)
    return np.asarray(moving_median(change, half) > limits.most_flicker, np.bool_)


def strangeness(measures: FrameMeasures, usable: Bools) -> Doubles:
    """How far the lower face of each frame is from its appearance in the rest of the film: the mean
    difference, as a share of its brightness, median over 0.8 s; 0 where not `usable`.

    Each stretch of some seconds is compared with principal components of the others, of their most usual nine
    tenths: otherwise an object that covers the mouth for a tenth of a short film would count as usual. An
    extreme mouth shape passes in less than 0.4 s; a hand does not.
    """
    strange = np.zeros(len(measures.track))
    rows = np.flatnonzero(usable)
    if len(rows) < 4 * _PARTS:
        return strange
    values = measures.patches[rows].reshape(len(rows), -1).astype(np.float32)
    # Independent of the light.
    values = values / np.maximum(values.mean(1, keepdims=True), 1.0)
    distance = np.linalg.norm(values - np.median(values, axis=0), axis=1)
    stretches = int(np.clip(len(measures.track) / measures.track.fps / _STRETCH_S, 3, _MOST_STRETCHES))
    stretch = rows * stretches // len(measures.track)
    # Neighbouring stretches are left out too, where enough others remain: one hand may extend over both.
    reach = 1 if stretches >= 5 else 0
    difference = np.zeros(len(rows))
    for number in range(stretches):
        here = stretch == number
        others = np.flatnonzero(np.abs(stretch - number) > reach)
        if not here.any() or len(others) < 2 * _PARTS:
            continue
        others = others[:: max(len(others) // (4 * _MOST_EXAMPLES), 1)]
        middle, basis = _usual(values[others], distance[others])
        difference[here] = _residual(values[here], middle, basis)
    strange[rows] = moving_median(difference, round(_COVERS_S * measures.track.fps))
    return strange


def _usual(values: Floats, distance: Doubles) -> tuple[Floats, Floats]:
    """Middle (576,) and principal components [parts, 576] of the nearest nine tenths of `values`."""
    for _ in range(2):
        near = values[distance <= np.quantile(distance, _KEPT_SHARE)]
        near = near[:: max(len(near) // _MOST_EXAMPLES, 1)]
        middle = near.mean(0)
        basis = _components(near - middle)
        distance = _residual(values, middle, basis)
    return middle, basis


def _components(centred: Floats) -> Floats:
    """The first principal components [parts, 576] of rows, by subspace iteration (Halko et al. 2011)."""
    basis = np.random.default_rng(0).normal(size=(centred.shape[1], 2 * _PARTS)).astype(np.float32)
    for _ in range(4):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    return np.asarray(np.linalg.svd(centred @ basis, full_matrices=False)[2][:_PARTS] @ basis.T, np.float32)


def _residual(values: Floats, middle: Floats, basis: Floats) -> Doubles:
    """Root mean square of each row's residual after the components."""
    residual = values - middle
    return np.asarray(np.sqrt(np.mean((residual - (residual @ basis.T) @ basis) ** 2, axis=1)), np.float64)


def stalled(measures: FrameMeasures) -> Bools:
    """Frames that repeat the film's frame before."""
    return np.concatenate([[False], np.diff(measures.source_s) < 1e-6])


_LEAST_CLEAN_S = 2.0
_LEAST_SHARE_WITH_FACE = 0.5
_CUT_GUARD_S = 0.15


class PictureFaults:
    """The picture of one film. `has_face`: a face is seen in at least half of it; `cuts` in seconds;
    `figures` what was measured."""

    def __init__(self, footage: Footage, measures: FrameMeasures, limits: GradingLimits) -> None:
        self.footage, self.measures, self.limits = footage, measures, limits
        track = measures.track
        self.fps, self.count = track.fps, len(track)
        self.duration_s = self.count / track.fps
        present = track.present
        self.has_face = bool(present.mean() >= _LEAST_SHARE_WITH_FACE)
        self.cuts = [index / self.fps for index in cuts(self.measures, self.limits)]
        self.figures: dict[str, float] = {"face_share": round(float(present.mean()), 4)}
        if not present.any():
            return
        widths = face_width(track.landmarks) * self.measures.scale
        self.face_px = float(np.nanmedian(widths))
        self.turn = np.nan_to_num(head_pose(track.landmarks).turn, nan=0.0)
        blur = self.measures.blur[np.isfinite(self.measures.blur)]
        self.figures |= {
            "face_px": round(self.face_px, 1),
            "turn_degrees_p95": round(float(np.percentile(self.turn[present], 95)), 1),
            "flicker": round(float(np.median(np.abs(measures.brightness))), 5),
            "cuts": len(self.cuts),
        }
        if blur.size:
            self.figures["blur_median"] = round(float(np.median(blur)), 3)

    def cut_in(self, span: Span) -> bool:
        """Whether a cut lies within the span."""
        return any(span[0] < cut < span[1] for cut in self.cuts)

    def faults(self) -> list[FootageFault]:
        """All faults of the picture, those of the whole film first."""
        whole = ((0.0, self.duration_s),)
        share = float(self.measures.track.present.mean())
        if not self.has_face:
            message = f"A face is seen in {share:.0%} of the frames."
            return [FootageFault("no_face", whole, share, _LEAST_SHARE_WITH_FACE, message, True)]
        return [*self._size(whole), *self._moments(), *self._cut(), *self._stalls()]

    def clean(self, faults: list[FootageFault]) -> tuple[Span, ...]:
        """Stretches with a face and without a local fault, divided at cuts."""
        good = self.measures.track.present.copy()
        for fault in faults:
            if fault.about.local:
                good &= ~flagged(fault.spans, self.count, self.fps)
        found: list[Span] = []
        for start_s, end_s in spans(good, self.fps):
            inner = [cut for cut in self.cuts if start_s < cut < end_s]
            edges = [start_s, *inner, end_s]
            found += pairwise(edges)
        return tuple((a, b) for a, b in found if b - a >= _LEAST_CLEAN_S)

    def _size(self, whole: tuple[Span, ...]) -> list[FootageFault]:
        s = self.limits
        if self.face_px >= s.face_px:
            return []
        message = f"The face is {self.face_px:.0f} pixels wide; {s.face_px:.0f} are needed."
        return [
            FootageFault(
                "too_far", whole, self.face_px, s.face_px, message, self.face_px < s.hopeless_face_px
            )
        ]

    def _moments(self) -> list[FootageFault]:
        """Local faults, in order of weight: frames that one of them explains are not counted for the later
        ones."""
        s, measures, track = self.limits, self.measures, self.measures.track
        found: list[FootageFault] = []
        near_cuts = [(cut - _CUT_GUARD_S, cut + _CUT_GUARD_S) for cut in self.cuts]
        explained = ~track.present | flagged(near_cuts, self.count, self.fps)

        def add(kind: str, flags: Bools, least_s: float, value: float, limit: float, message: str) -> None:
            where = spans(flags, self.fps, least_s, bridge_s=0.3)
            if where:
                long_s = total_s(where)
                found.append(FootageFault(kind, where, value, limit, message.format(s=long_s)))
                explained[flagged(where, self.count, self.fps)] = True

        second = track.faces > 1
        both = float(second.mean())
        add("two_faces", second, s.least_second_face_s, both, 0.0, "For {s:.1f} s there are two.")
        if found and both > s.most_second_face_share:
            found[-1] = replace(found[-1], fatal=True)
        lost = ~track.present
        add("face_lost", lost, s.least_lost_s, float(lost.mean()), 0.0, "No face is seen for {s:.1f} s.")
        turned = (self.turn > s.most_turn_degrees) & track.present
        most = float(np.max(self.turn))
        message = f"By more than {s.most_turn_degrees:.0f} degrees, up to {most:.0f}, for {{s:.1f}} s."
        add("turned", turned, s.least_turn_s, most, s.most_turn_degrees, message)
        text = (measures.text_rows >= s.text_rows) & track.present
        message = "For {s:.1f} s."
        add("caption", text, s.least_text_s, float(measures.text_rows.max()), s.text_rows, message)
        blur = np.nan_to_num(measures.blur, nan=0.0)
        add("blur", blur > s.most_blur, s.least_blur_s, float(blur.max()), s.most_blur, "For {s:.1f} s.")
        light = flickers(measures, s)
        strongest = float(np.percentile(np.abs(measures.brightness), 90))
        message = f"By {strongest:.1%} from frame to frame, for {{s:.1f}} s."
        add("flicker", light, s.least_flicker_s, strongest, s.most_flicker, message)
        usable = track.present & ~_grown(explained & ~light, round(0.2 * self.fps))
        strange = strangeness(measures, usable)
        self.figures["strange_p99"] = round(float(np.percentile(strange, 99)), 3)
        covered = strange > s.most_strange
        add("covered", covered, s.least_covered_s, float(strange.max()), s.most_strange, "For {s:.1f} s.")
        return found

    def _cut(self) -> list[FootageFault]:
        if not self.cuts:
            return []
        where = tuple((cut, cut) for cut in self.cuts)
        times = "once" if len(where) == 1 else f"{len(where)} times"
        return [FootageFault("cut", where, len(where), 0, f"The film was cut {times}.")]

    def _stalls(self) -> list[FootageFault]:
        s = self.limits
        again = stalled(self.measures)
        share = float(again.mean())
        if self.footage.fps >= s.least_fps and share <= s.most_stalled_share:
            return []
        rate = self.fps * (1 - share)
        message = f"It has {rate:.0f} different pictures a second."
        where = spans(_grown(again, 3), self.fps, 0.5, bridge_s=1.0) or ((0.0, self.duration_s),)
        return [FootageFault("stalls", where, rate, s.least_fps, message)]


def _grown(flags: Bools, by: int) -> Bools:
    """True also `by` frames before and after."""
    grown = np.zeros_like(flags)
    for start, end in runs(flags):
        grown[max(start - by, 0) : end + by] = True
    return grown
