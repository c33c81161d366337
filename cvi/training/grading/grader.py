"""Footage -> grade: everything measured once, then held against the standards.

TODO Footage looked at once: the track that training works on, and the grade that says what it is worth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import UsageError
from cvi.files import sha256_of, write_bytes
from cvi.training.footage.reader import Footage
from cvi.training.footage.tracking import FaceTrack, FaceTracker, load_track, save_track
from cvi.training.grading.face_measures import closures, roundings, stills
from cvi.training.grading.faults import (
    KINDS,
    FootageFault,
    FootageGrade,
    GradingLimits,
    Span,
    Verdict,
    flagged,
    spans,
    total_s,
)
from cvi.training.grading.frame_measures import FrameMeasures, measure_frames
from cvi.training.grading.grade_page import grade_as_data
from cvi.training.grading.picture_faults import PictureFaults
from cvi.training.grading.sound import SILENT_DB, SpeechMeasures, SyncOffset, measure_offset, measure_speech

Progress = Callable[[int, int], None]


def grade_footage(
    footage: Footage,
    tracker: FaceTracker,
    standards: GradingLimits | None = None,
    progress: Progress = lambda done, of: None,
) -> FootageGrade:
    """Look through a film once and judge it; `progress` is told (frames done, of).

    Raises UsageError for a film that cannot be decoded, EngineError from the tracker.
    """
    looks = measure_frames(footage, tracker, footage.working_fps, progress)
    return grade_measures(footage, looks, standards or GradingLimits())


def grade_measures(footage: Footage, looks: FrameMeasures, standards: GradingLimits) -> FootageGrade:
    """The grade of a film that was looked at."""
    pcm = _sound(footage)
    voice = SpeechMeasures((), float("nan"), -100.0) if pcm is None else measure_speech(pcm)
    seen = PictureFaults(footage, looks, standards)
    faults = seen.faults()
    offset = SyncOffset(0.0, False, 0.0, 0.0)
    still: tuple[Span, ...] = ()
    met = rounded = 0
    if seen.has_face:
        if pcm is not None and voice.speech:
            offset = measure_offset(looks.track, pcm, voice.speech)
        still = tuple(span for span in stills(looks.track, voice.speech, standards) if not seen.cut_in(span))
        met, rounded = closures(looks.track, voice.speech), roundings(looks.track, voice.speech)
    clean = seen.clean(faults)
    whole = ((0.0, seen.duration_s),)
    # Without a face nothing is clean, and that is said already.
    spoken_s = voice.speech_s
    if seen.has_face:
        spoken_s = total_s(_common(voice.speech, clean, seen.count, seen.fps))
    if pcm is None or voice.level_db < SILENT_DB:
        said = "The film has no sound, or only silence."
        faults.append(FootageFault("no_sound", whole, voice.level_db, SILENT_DB, said, True))
    else:
        faults += _sound_faults(voice, offset, spoken_s, whole, standards)
    if seen.has_face:
        faults += _material_faults(still, met, voice, whole, standards)
    order = list(KINDS)
    faults.sort(key=lambda fault: (not fault.fatal, order.index(fault.kind)))
    return FootageGrade(
        film=footage.path.name,
        sha256=sha256_of(footage.path),
        duration_s=round(seen.duration_s, 3),
        width=footage.width,
        height=footage.height,
        fps=footage.fps,
        verdict=_verdict(faults),
        faults=tuple(faults),
        clean=clean,
        speech=voice.speech,
        stills=still,
        sound_late_s=round(offset.late_s, 3) if offset.sure else 0.0,
        figures={
            **seen.figures,
            "speech_s": round(voice.speech_s, 2),
            "clean_speech_s": round(spoken_s, 2),
            "snr_db": round(voice.snr_db, 1) if np.isfinite(voice.snr_db) else 0.0,
            "sound_late_ms": round(offset.late_s * 1000),
            "sound_fits_mouth": round(offset.correlation, 3),
            "lips_met": met,
            "lips_rounded": rounded,
            "still_silences": len(still),
        },
        tracker=looks.track.tracker,
    )


def _sound(footage: Footage) -> Pcm | None:
    """None where there is no sound, or none that can be decoded: for training that is the same."""
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
    voice: SpeechMeasures,
    offset: SyncOffset,
    spoken_s: float,
    whole: tuple[Span, ...],
    standards: GradingLimits,
) -> list[FootageFault]:
    found: list[FootageFault] = []
    if np.isfinite(voice.snr_db) and voice.snr_db < standards.least_snr_db:
        said = f"The voice stands {voice.snr_db:.0f} dB above the noise."
        found.append(FootageFault("noisy", whole, voice.snr_db, standards.least_snr_db, said))
    if offset.sure and abs(offset.late_s) > standards.most_offset_s:
        order = "after" if offset.late_s > 0 else "before"
        said = f"The sound comes {abs(offset.late_s) * 1000:.0f} ms {order} the picture."
        found.append(FootageFault("offset", whole, offset.late_s, standards.most_offset_s, said))
    if spoken_s < standards.least_speech_s:
        least_s = standards.least_speech_s
        said = f"There are {spoken_s:.0f} s of speech that can be used; {least_s:.0f} are needed."
        spoilt_s = voice.speech_s - spoken_s
        if spoilt_s > 0.2 * voice.speech_s:
            said += f" The other {spoilt_s:.0f} s lie where something else is wrong."
        fatal = spoken_s < standards.hopeless_speech_s
        found.append(FootageFault("little_speech", whole, spoken_s, standards.least_speech_s, said, fatal))
    return found


def _material_faults(
    still: tuple[Span, ...],
    met: int,
    voice: SpeechMeasures,
    whole: tuple[Span, ...],
    standards: GradingLimits,
) -> list[FootageFault]:
    """What the person did not do enough of."""
    found: list[FootageFault] = []
    # One long silence holds as many as fit into it.
    held = sum(int(total_s((span,)) // standards.still_s) for span in still)
    if held < standards.least_stills:
        said = f"There are {held} silences of {standards.still_s:.0f} s with a still face; "
        said += f"{standards.least_stills} are needed."
        found.append(FootageFault("no_stillness", whole, held, standards.least_stills, said))
    # Of little speech nothing else can be expected: then only that is said.
    expected = standards.least_closures * min(1.0, voice.speech_s / standards.least_speech_s)
    if voice.speech_s >= standards.hopeless_speech_s and met < expected:
        said = f"The lips meet {met} times in {voice.speech_s:.0f} s of speech; {expected:.0f} is the least."
        found.append(FootageFault("few_labials", whole, met, expected, said))
    return found


TRACK, GRADE = "track.npz", "grade.json"
_LEAST_CLEAN = 0.5
"""Of the frames: with fewer clean ones, all are used; half a minute with faults teaches more than none."""

GradeData = dict[str, Any]


def track_and_grade(
    folder: Path,
    footage: Footage,
    tracker: Callable[[], FaceTracker],
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> tuple[FaceTrack, GradeData]:
    """Track and grade, kept in `folder`; what is there already is read. Raises UsageError where no face is
    seen at all, EngineError from the tracker, CviError where the disk refuses."""
    kept = _kept(folder)
    if kept is not None:
        return kept
    sees = tracker()
    try:
        looks = measure_frames(footage, sees, footage.working_fps, progress)
    finally:
        sees.close()
    track = _at_size(looks.track, footage)
    if not track.present.any():
        raise UsageError(
            f"No face is seen in {footage.path}.", "Film one person, facing the camera, in good light."
        )
    grade = grade_as_data(grade_measures(footage, looks, GradingLimits()))
    write_bytes(folder / GRADE, json.dumps(grade, indent=1).encode())
    # Last: with it both are there.
    save_track(track, folder / TRACK)
    return track, grade


def refuse_unusable(footage: Footage, grade: GradeData) -> None:
    """Raise UsageError for footage nothing can be made of, with its gravest fault and what to do."""
    if grade["verdict"] != "unusable":
        return
    fault = next(fault for fault in grade["faults"] if fault["fatal"])
    raise UsageError(
        f"{footage.path} is unusable: {fault['said']}",
        f"{fault['remedy']} All faults: cvi replica check {footage.path} (--anyway trains all the same).",
    )


def clean_frames(track: FaceTrack, grade: GradeData) -> npt.NDArray[np.bool_]:
    """Which frames (n,) have no fault of a moment: no hand, caption, blur, second face. All, where hardly any
    would be left."""
    clean = flagged([(float(a), float(b)) for a, b in grade["clean"]], len(track), track.fps)
    if clean.mean() < _LEAST_CLEAN:
        return np.ones(len(track), np.bool_)
    return clean


def _kept(folder: Path) -> tuple[FaceTrack, GradeData] | None:
    if not (folder / TRACK).is_file():
        return None
    try:
        grade = json.loads((folder / GRADE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return load_track(folder / TRACK), grade


def _at_size(track: FaceTrack, footage: Footage) -> FaceTrack:
    """The same in pixels of the frames that training decodes, which may be larger than those looked at."""
    width, height = footage.frame_size()
    if (width, height) == (track.width, track.height):
        return track
    scale = np.array([width / track.width, height / track.height, width / track.width], np.float32)
    return replace(track, landmarks=track.landmarks * scale, width=width, height=height)
