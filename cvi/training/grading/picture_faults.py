"""What is wrong in the picture of a film: frames held against the standards, and what is left of it.

TODO What is wrong in the picture: from per-frame measures to truth values a frame."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from cvi.training.footage.reader import Footage
from cvi.training.grading.face_measures import face_width, head_pose, leaps
from cvi.training.grading.faults import (
    Flags,
    FootageFault,
    GradingLimits,
    Span,
    flagged,
    moving_median,
    runs,
    spans,
    total_s,
)
from cvi.training.grading.frame_measures import FrameMeasures

Series = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

_LEAST_CHANGE = 0.5
"""Grey levels: what noise and compression change."""
_LEAST_LEAP = 0.012
"""Face widths: what the points' own tremble leaps."""
_SURE_CHANGE = 12.0
_PARTS = 12
_KEPT_SHARE = 0.9
_MOST_EXAMPLES = 400
_STRETCH_S, _MOST_STRETCHES = 6.0, 24
_COVERS_S = 0.4
"""Half of the stretch whose median tells."""


def cuts(looks: FrameMeasures, standards: GradingLimits) -> list[int]:
    """Frames before which the film was cut: picture and face leap at once, and only once."""
    fresh = np.concatenate([[True], np.diff(looks.source_s) > 1e-6])
    change, leap = looks.change.copy(), np.nan_to_num(leaps(looks.track.landmarks), nan=0.0)
    half = max(round(0.5 * looks.track.fps), 2)
    index = np.flatnonzero(fresh)
    change_over = _over_usual(change[index], half, _LEAST_CHANGE)
    leap_over = _over_usual(leap[index], half, _LEAST_LEAP / 4)
    unusual = change_over > standards.cut_ratio
    both = unusual & (leap_over > standards.cut_ratio) & (leap[index] > _LEAST_LEAP)
    alone = unusual & (change[index] > _SURE_CHANGE)
    found: list[int] = []
    for place in np.flatnonzero(both | alone):
        # A quick movement leaps in several frames; a cut in one. The larger of two neighbours counts.
        neighbours = [n for n in (place - 1, place + 1) if 0 < n < len(index)]
        if all(change[index[n]] < 0.6 * change[index[place]] for n in neighbours):
            found.append(int(index[place]))
    return found


def _over_usual(values: Series, half: int, least: float) -> Series:
    return np.asarray(values / np.maximum(moving_median(values, half), least), np.float64)


def flickers(looks: FrameMeasures, standards: GradingLimits) -> Flags:
    """Seconds in which the brightness of everything goes up and down."""
    change = np.abs(looks.brightness)
    half = max(round(looks.track.fps / 2), 2)
    return np.asarray(moving_median(change, half) > standards.most_flicker, np.bool_)


def strangeness(looks: FrameMeasures, usable: Flags) -> Series:
    """How far the lower face of each frame is from anything it looks like elsewhere in the film: the mean
    difference, as a share of its brightness, its median over 0.8 s; 0 where not `usable`.

    Each stretch of some seconds is held against principal components of the others, of the nearest nine
    tenths of them: what covers a mouth for a tenth of a short film would else be learned as usual. A mouth
    opened wider than ever passes in less than 0.4 s; a hand does not.
    """
    strange = np.zeros(len(looks.track))
    rows = np.flatnonzero(usable)
    if len(rows) < 4 * _PARTS:
        return strange
    values = looks.patches[rows].reshape(len(rows), -1).astype(np.float32)
    # The light's changes are not the face's.
    values = values / np.maximum(values.mean(1, keepdims=True), 1.0)
    distance = np.linalg.norm(values - np.median(values, axis=0), axis=1)
    stretches = int(np.clip(len(looks.track) / looks.track.fps / _STRETCH_S, 3, _MOST_STRETCHES))
    stretch = rows * stretches // len(looks.track)
    # Nor is its beginning to be learned from its end: the neighbours are left out, where enough is left.
    reach = 1 if stretches >= 5 else 0
    apart = np.zeros(len(rows))
    for number in range(stretches):
        here = stretch == number
        others = np.flatnonzero(np.abs(stretch - number) > reach)
        if not here.any() or len(others) < 2 * _PARTS:
            continue
        others = others[:: max(len(others) // (4 * _MOST_EXAMPLES), 1)]
        middle, basis = _usual(values[others], distance[others])
        apart[here] = _rest(values[here], middle, basis)
    strange[rows] = moving_median(apart, round(_COVERS_S * looks.track.fps))
    return strange


def _usual(values: Floats, distance: Series) -> tuple[Floats, Floats]:
    """Middle (576,) and principal components [parts, 576] of the nearest nine tenths of `values`."""
    for _ in range(2):
        near = values[distance <= np.quantile(distance, _KEPT_SHARE)]
        near = near[:: max(len(near) // _MOST_EXAMPLES, 1)]
        middle = near.mean(0)
        basis = np.linalg.svd(near - middle, full_matrices=False)[2][:_PARTS]
        distance = _rest(values, middle, basis)
    return middle, basis


def _rest(values: Floats, middle: Floats, basis: Floats) -> Series:
    """What the components leave of each row: root of the mean square."""
    rest = values - middle
    return np.asarray(np.sqrt(np.mean((rest - (rest @ basis.T) @ basis) ** 2, axis=1)), np.float64)


def stalled(looks: FrameMeasures) -> Flags:
    """Frames that show the film's frame before once more."""
    return np.concatenate([[False], np.diff(looks.source_s) < 1e-6])


_LEAST_CLEAN_S = 2.0
_LEAST_SHARE_WITH_FACE = 0.5
_CUT_GUARD_S = 0.15


class PictureFaults:
    """What the frames of a film say. `has_face` whether it is a film of a face at all, `cuts` seconds;
    `figures` what was measured."""

    def __init__(self, footage: Footage, looks: FrameMeasures, standards: GradingLimits) -> None:
        self.footage, self.looks, self.standards = footage, looks, standards
        track = looks.track
        self.fps, self.count = track.fps, len(track)
        self.duration_s = self.count / track.fps
        present = track.present
        self.has_face = bool(present.mean() >= _LEAST_SHARE_WITH_FACE)
        self.cuts = [index / self.fps for index in cuts(self.looks, self.standards)]
        self.figures: dict[str, float] = {"face_share": round(float(present.mean()), 4)}
        if not present.any():
            return
        widths = face_width(track.landmarks) * self.looks.scale
        self.face_px = float(np.nanmedian(widths))
        self.turn = np.nan_to_num(head_pose(track.landmarks).turn, nan=0.0)
        blur = self.looks.blur[np.isfinite(self.looks.blur)]
        self.figures |= {
            "face_px": round(self.face_px, 1),
            "turn_degrees_p95": round(float(np.percentile(self.turn[present], 95)), 1),
            "flicker": round(float(np.median(np.abs(looks.brightness))), 5),
            "cuts": len(self.cuts),
        }
        if blur.size:
            self.figures["blur_median"] = round(float(np.median(blur)), 3)

    def cut_in(self, span: Span) -> bool:
        return any(span[0] < cut < span[1] for cut in self.cuts)

    def faults(self) -> list[FootageFault]:
        whole = ((0.0, self.duration_s),)
        share = float(self.looks.track.present.mean())
        if not self.has_face:
            said = f"A face is seen in {share:.0%} of the frames."
            return [FootageFault("no_face", whole, share, _LEAST_SHARE_WITH_FACE, said, True)]
        return [*self._size(whole), *self._moments(), *self._cut(), *self._stalls()]

    def clean(self, faults: list[FootageFault]) -> tuple[Span, ...]:
        """Stretches with a face and without a fault of a moment; cuts part them."""
        good = self.looks.track.present.copy()
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
        s = self.standards
        if self.face_px >= s.face_px:
            return []
        said = f"The face is {self.face_px:.0f} pixels wide; {s.face_px:.0f} are needed."
        return [
            FootageFault("too_far", whole, self.face_px, s.face_px, said, self.face_px < s.hopeless_face_px)
        ]

    def _moments(self) -> list[FootageFault]:
        """Faults that come and go, the weightiest first: what one explains is not another one's."""
        s, looks, track = self.standards, self.looks, self.looks.track
        found: list[FootageFault] = []
        around = [(cut - _CUT_GUARD_S, cut + _CUT_GUARD_S) for cut in self.cuts]
        explained = ~track.present | flagged(around, self.count, self.fps)

        def add(kind: str, flags: Flags, least_s: float, value: float, limit: float, said: str) -> None:
            where = spans(flags, self.fps, least_s, bridge_s=0.3)
            if where:
                long_s = total_s(where)
                found.append(FootageFault(kind, where, value, limit, said.format(s=long_s)))
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
        said = f"By more than {s.most_turn_degrees:.0f} degrees, up to {most:.0f}, for {{s:.1f}} s."
        add("turned", turned, s.least_turn_s, most, s.most_turn_degrees, said)
        text = (looks.text_rows >= s.text_rows) & track.present
        said = "For {s:.1f} s."
        add("caption", text, s.least_text_s, float(looks.text_rows.max()), s.text_rows, said)
        blur = np.nan_to_num(looks.blur, nan=0.0)
        add("blur", blur > s.most_blur, s.least_blur_s, float(blur.max()), s.most_blur, "For {s:.1f} s.")
        light = flickers(looks, s)
        strongest = float(np.percentile(np.abs(looks.brightness), 90))
        said = f"By {strongest:.1%} from frame to frame, for {{s:.1f}} s."
        add("flicker", light, s.least_flicker_s, strongest, s.most_flicker, said)
        usable = track.present & ~_grown(explained & ~light, round(0.2 * self.fps))
        strange = strangeness(looks, usable)
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
        s = self.standards
        again = stalled(self.looks)
        share = float(again.mean())
        if self.footage.fps >= s.least_fps and share <= s.most_stalled_share:
            return []
        rate = self.fps * (1 - share)
        said = f"It has {rate:.0f} different pictures a second."
        where = spans(_grown(again, 3), self.fps, 0.5, bridge_s=1.0) or ((0.0, self.duration_s),)
        return [FootageFault("stalls", where, rate, s.least_fps, said)]


def _grown(flags: Flags, by: int) -> Flags:
    """True also `by` frames before and after."""
    grown = np.zeros_like(flags)
    for start, end in runs(flags):
        grown[max(start - by, 0) : end + by] = True
    return grown
