"""What is wrong in the picture of a film: frames held against the standards, and what is left of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from cvi.training.footage import Footage
from cvi.training.grading.faults import Fault, Span
from cvi.training.grading.geometry import face_width, head_pose
from cvi.training.grading.looks import Looks
from cvi.training.grading.picture import cuts, flickers, stalled, strangeness
from cvi.training.grading.spans import Flags, flagged, runs, spans, total_s
from cvi.training.grading.standards import Standards

_LEAST_CLEAN_S = 2.0
_LEAST_SHARE_WITH_FACE = 0.5
_CUT_GUARD_S = 0.15


class PictureFaults:
    """What the frames of a film say. `has_face` whether it is a film of a face at all, `cuts` seconds;
    `figures` what was measured."""

    def __init__(self, footage: Footage, looks: Looks, standards: Standards) -> None:
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

    def faults(self) -> list[Fault]:
        whole = ((0.0, self.duration_s),)
        share = float(self.looks.track.present.mean())
        if not self.has_face:
            said = f"A face is seen in {share:.0%} of the frames."
            return [Fault("no_face", whole, share, _LEAST_SHARE_WITH_FACE, said, True)]
        return [*self._size(whole), *self._moments(), *self._cut(), *self._stalls()]

    def clean(self, faults: list[Fault]) -> tuple[Span, ...]:
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

    def _size(self, whole: tuple[Span, ...]) -> list[Fault]:
        s = self.standards
        if self.face_px >= s.face_px:
            return []
        said = f"The face is {self.face_px:.0f} pixels wide; {s.face_px:.0f} are needed."
        return [Fault("too_far", whole, self.face_px, s.face_px, said, self.face_px < s.hopeless_face_px)]

    def _moments(self) -> list[Fault]:
        """Faults that come and go, the weightiest first: what one explains is not another one's."""
        s, looks, track = self.standards, self.looks, self.looks.track
        found: list[Fault] = []
        around = [(cut - _CUT_GUARD_S, cut + _CUT_GUARD_S) for cut in self.cuts]
        explained = ~track.present | flagged(around, self.count, self.fps)

        def add(kind: str, flags: Flags, least_s: float, value: float, limit: float, said: str) -> None:
            where = spans(flags, self.fps, least_s, bridge_s=0.3)
            if where:
                long_s = total_s(where)
                found.append(Fault(kind, where, value, limit, said.format(s=long_s)))
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

    def _cut(self) -> list[Fault]:
        if not self.cuts:
            return []
        where = tuple((cut, cut) for cut in self.cuts)
        times = "once" if len(where) == 1 else f"{len(where)} times"
        return [Fault("cut", where, len(where), 0, f"The film was cut {times}.")]

    def _stalls(self) -> list[Fault]:
        s = self.standards
        again = stalled(self.looks)
        share = float(again.mean())
        if self.footage.fps >= s.least_fps and share <= s.most_stalled_share:
            return []
        rate = self.fps * (1 - share)
        said = f"It has {rate:.0f} different pictures a second."
        where = spans(_grown(again, 3), self.fps, 0.5, bridge_s=1.0) or ((0.0, self.duration_s),)
        return [Fault("stalls", where, rate, s.least_fps, said)]


def _grown(flags: Flags, by: int) -> Flags:
    """True also `by` frames before and after."""
    grown = np.zeros_like(flags)
    for start, end in runs(flags):
        grown[max(start - by, 0) : end + by] = True
    return grown
