"""Footage -> grade: everything measured once, then compared with the limits. Training stores the track and
the grade in its folder and reads them there the next time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import UsageError
from cvi.files import sha256_of, write_bytes
from cvi.perception.face_detection import FaceTracker
from cvi.training.arrays import Bools
from cvi.training.footage.reader import Footage
from cvi.training.footage.spans import Span, flagged, spans, total_s
from cvi.training.footage.tracking import FaceTrack, load_track, save_track
from cvi.training.grading.face_measures import closures, roundings, stills
from cvi.training.grading.faults import KINDS, FootageFault, FootageGrade, GradingLimits, Verdict
from cvi.training.grading.frame_measures import FrameMeasures, measure_frames
from cvi.training.grading.grade_page import grade_as_data
from cvi.training.grading.picture_faults import PictureFaults
from cvi.training.grading.sound import SILENT_DB, SpeechMeasures, SyncOffset, measure_offset, measure_speech

Progress = Callable[[int, int], None]


def grade_footage(
    footage: Footage,
    tracker: FaceTracker,
    limits: GradingLimits | None = None,
    progress: Progress = lambda done, of: None,
) -> FootageGrade:
    """Decode a film once and grade it; `progress` is called with (frames done, of).

    Raises UsageError for a film that cannot be decoded, EngineError from the tracker.
    """
    measures = measure_frames(footage, tracker, footage.working_fps, progress)
    return grade_measures(footage, measures, limits or GradingLimits())


def grade_measures(footage: Footage, measures: FrameMeasures, limits: GradingLimits) -> FootageGrade:
    """The grade of a film whose frames were measured."""
    pcm = _sound(footage)
    speech = SpeechMeasures((), float("nan"), -100.0) if pcm is None else measure_speech(pcm)
    picture = PictureFaults(footage, measures, limits)
    faults = picture.faults()
    offset = SyncOffset(0.0, False, 0.0, 0.0)
    still: tuple[Span, ...] = ()
    met = rounded = 0
    if picture.has_face:
        if pcm is not None and speech.spans:
            offset = measure_offset(measures.track, pcm, speech.spans)
        still = tuple(
            span for span in stills(measures.track, speech.spans, limits) if not picture.cut_in(span)
        )
        met, rounded = closures(measures.track, speech.spans), roundings(measures.track, speech.spans)
    clean = picture.clean(faults)
    whole = ((0.0, picture.duration_s),)
    # Without a face nothing is clean, which is a fault of its own already.
    spoken_s = speech.speech_s
    if picture.has_face:
        spoken_s = total_s(_common(speech.spans, clean, picture.count, picture.fps))
    if pcm is None or speech.level_db < SILENT_DB:
        message = "The film has no sound, or only silence."
        faults.append(FootageFault("no_sound", whole, speech.level_db, SILENT_DB, message, True))
    else:
        faults += _sound_faults(speech, offset, spoken_s, whole, limits)
    if picture.has_face:
        faults += _material_faults(still, met, speech, whole, limits)
    order = list(KINDS)
    faults.sort(key=lambda fault: (not fault.fatal, order.index(fault.kind)))
    return FootageGrade(
        film=footage.path.name,
        sha256=sha256_of(footage.path),
        duration_s=round(picture.duration_s, 3),
        width=footage.width,
        height=footage.height,
        fps=footage.fps,
        verdict=_verdict(faults),
        faults=tuple(faults),
        clean=clean,
        speech=speech.spans,
        stills=still,
        sound_late_s=round(offset.late_s, 3) if offset.sure else 0.0,
        figures={
            **picture.figures,
            "speech_s": round(speech.speech_s, 2),
            "clean_speech_s": round(spoken_s, 2),
            "snr_db": round(speech.snr_db, 1) if np.isfinite(speech.snr_db) else 0.0,
            "sound_late_ms": round(offset.late_s * 1000),
            "sound_fits_mouth": round(offset.correlation, 3),
            "lips_met": met,
            "lips_rounded": rounded,
            "still_silences": len(still),
        },
        tracker=measures.track.tracker,
    )


def _sound(footage: Footage) -> Pcm | None:
    """None where there is no sound, or none that can be decoded."""
    if not footage.has_sound:
        return None
    try:
        pcm = footage.sound()
    except UsageError:
        return None
    return pcm if len(pcm) >= HEARD_HZ // 10 else None


def _verdict(faults: list[FootageFault]) -> Verdict:
    if any(fault.fatal for fault in faults):
        return "unusable"
    return "usable" if faults else "good"


def _common(speech: tuple[Span, ...], clean: tuple[Span, ...], count: int, fps: float) -> tuple[Span, ...]:
    return spans(flagged(speech, count, fps) & flagged(clean, count, fps), fps)


def _sound_faults(
    speech: SpeechMeasures,
    offset: SyncOffset,
    spoken_s: float,
    whole: tuple[Span, ...],
    limits: GradingLimits,
) -> list[FootageFault]:
    found: list[FootageFault] = []
    if np.isfinite(speech.snr_db) and speech.snr_db < limits.least_snr_db:
        message = f"The voice is {speech.snr_db:.0f} dB above the noise."
        found.append(FootageFault("noisy", whole, speech.snr_db, limits.least_snr_db, message))
    if offset.sure and abs(offset.late_s) > limits.most_offset_s:
        order = "after" if offset.late_s > 0 else "before"
        message = f"The sound comes {abs(offset.late_s) * 1000:.0f} ms {order} the picture."
        found.append(FootageFault("offset", whole, offset.late_s, limits.most_offset_s, message))
    if spoken_s < limits.least_speech_s:
        least_s = limits.least_speech_s
        message = f"There are {spoken_s:.0f} s of speech that can be used; {least_s:.0f} are needed."
        unusable_s = speech.speech_s - spoken_s
        if unusable_s > 0.2 * speech.speech_s:
            message += f" The other {unusable_s:.0f} s lie where something else is wrong."
        fatal = spoken_s < limits.hopeless_speech_s
        found.append(FootageFault("little_speech", whole, spoken_s, limits.least_speech_s, message, fatal))
    return found


def _material_faults(
    still: tuple[Span, ...],
    met: int,
    speech: SpeechMeasures,
    whole: tuple[Span, ...],
    limits: GradingLimits,
) -> list[FootageFault]:
    """Faults of what the person did too little of."""
    found: list[FootageFault] = []
    # A long silence counts as many as fit into it.
    held = sum(int(total_s((span,)) // limits.still_s) for span in still)
    if held < limits.least_stills:
        message = f"There are {held} silences of {limits.still_s:.0f} s with a still face; "
        message += f"{limits.least_stills} are needed."
        found.append(FootageFault("no_stillness", whole, held, limits.least_stills, message))
    # With little speech fewer closures are expected, and with very little that fault alone is reported.
    expected = limits.least_closures * min(1.0, speech.speech_s / limits.least_speech_s)
    if speech.speech_s >= limits.hopeless_speech_s and met < expected:
        message = (
            f"The lips meet {met} times in {speech.speech_s:.0f} s of speech; {expected:.0f} is the least."
        )
        found.append(FootageFault("few_labials", whole, met, expected, message))
    return found


TRACK, GRADE = "track.npz", "grade.json"
_LEAST_CLEAN = 0.5
"""Of the frames: with fewer clean ones all are used, since footage with faults is better than none."""

GradeData = dict[str, Any]


def track_and_grade(
    folder: Path,
    footage: Footage,
    tracker: Callable[[], FaceTracker],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[FaceTrack, GradeData]:
    """The track and the grade, read from `folder` where they are stored, else made and stored there. Raises
    UsageError where no face is seen at all, EngineError from the tracker, CviError where the disk refuses."""
    stored = _stored(folder)
    if stored is not None:
        return stored
    face_tracker = tracker()
    try:
        measures = measure_frames(footage, face_tracker, footage.working_fps, progress)
    finally:
        face_tracker.close()
    track = _at_size(measures.track, footage)
    if not track.present.any():
        raise UsageError(
            f"No face is seen in {footage.path}.", "Film one person, facing the camera, in good light."
        )
    grade = grade_as_data(grade_measures(footage, measures, GradingLimits()))
    write_bytes(folder / GRADE, json.dumps(grade, indent=1).encode())
    # Written last: its presence says that both are there.
    save_track(track, folder / TRACK)
    return track, grade


def refuse_unusable(footage: Footage, grade: GradeData) -> None:
    """Raise UsageError for unusable footage, with its gravest fault and the remedy."""
    if grade["verdict"] != "unusable":
        return
    fault = next(fault for fault in grade["faults"] if fault["fatal"])
    raise UsageError(
        f"{footage.path} is unusable: {fault['said']}",
        f"{fault['remedy']} All faults: cvi replica check {footage.path} (--anyway trains all the same).",
    )


def clean_frames(track: FaceTrack, grade: GradeData) -> Bools:
    """Which frames (n,) have no local fault (hand, caption, blur, second face); all where less than half
    would be left."""
    clean = flagged([(float(a), float(b)) for a, b in grade["clean"]], len(track), track.fps)
    if clean.mean() < _LEAST_CLEAN:
        return np.ones(len(track), np.bool_)
    return clean


def _stored(folder: Path) -> tuple[FaceTrack, GradeData] | None:
    if not (folder / TRACK).is_file():
        return None
    try:
        grade = json.loads((folder / GRADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return load_track(folder / TRACK), grade


def _at_size(track: FaceTrack, footage: Footage) -> FaceTrack:
    """The same in pixels of the frames that training decodes, which may be larger than those graded."""
    width, height = footage.frame_size()
    if (width, height) == (track.width, track.height):
        return track
    scale = np.array([width / track.width, height / track.height, width / track.width], np.float32)
    return replace(track, landmarks=track.landmarks * scale, width=width, height=height)
