"""Footage -> grade: everything measured once, then held against the standards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cvi.audio.block import HEARD_HZ, Pcm
from cvi.errors import UsageError
from cvi.training.footage import Footage
from cvi.training.grading.faults import KINDS, Fault, Grade, Span, Verdict
from cvi.training.grading.in_picture import PictureFaults
from cvi.training.grading.looks import Looks, look
from cvi.training.grading.sound import SILENT_DB, Voice, listen
from cvi.training.grading.spans import flagged, spans, total_s
from cvi.training.grading.speaking import closures, roundings, stills
from cvi.training.grading.standards import Standards
from cvi.training.grading.sync import Offset, measure_offset
from cvi.training.landmarks import FaceTracker

Progress = Callable[[int, int], None]


def grade_footage(
    footage: Footage,
    tracker: FaceTracker,
    standards: Standards | None = None,
    progress: Progress = lambda done, of: None,
) -> Grade:
    """Look through a film once and judge it; `progress` is told (frames done, of).

    Raises UsageError for a film that cannot be decoded, EngineError from the tracker.
    """
    looks = look(footage, tracker, footage.working_fps, progress)
    return judge(footage, looks, standards or Standards())


def judge(footage: Footage, looks: Looks, standards: Standards) -> Grade:
    """The grade of a film that was looked at."""
    pcm = _sound(footage)
    voice = Voice((), float("nan"), -100.0) if pcm is None else listen(pcm)
    seen = PictureFaults(footage, looks, standards)
    faults = seen.faults()
    offset = Offset(0.0, False, 0.0, 0.0)
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
        faults.append(Fault("no_sound", whole, voice.level_db, SILENT_DB, said, True))
    else:
        faults += _sound_faults(voice, offset, spoken_s, whole, standards)
    if seen.has_face:
        faults += _material_faults(still, met, voice, whole, standards)
    order = list(KINDS)
    faults.sort(key=lambda fault: (not fault.fatal, order.index(fault.kind)))
    return Grade(
        film=footage.path.name,
        sha256=digest(footage.path),
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


def _verdict(faults: list[Fault]) -> Verdict:
    if any(fault.fatal for fault in faults):
        return "unusable"
    return "usable" if faults else "good"


def _common(speech: tuple[Span, ...], clean: tuple[Span, ...], count: int, fps: float) -> tuple[Span, ...]:
    return spans(flagged(speech, count, fps) & flagged(clean, count, fps), fps)


def _sound_faults(
    voice: Voice,
    offset: Offset,
    spoken_s: float,
    whole: tuple[Span, ...],
    standards: Standards,
) -> list[Fault]:
    found: list[Fault] = []
    if np.isfinite(voice.snr_db) and voice.snr_db < standards.least_snr_db:
        said = f"The voice stands {voice.snr_db:.0f} dB above the noise."
        found.append(Fault("noisy", whole, voice.snr_db, standards.least_snr_db, said))
    if offset.sure and abs(offset.late_s) > standards.most_offset_s:
        order = "after" if offset.late_s > 0 else "before"
        said = f"The sound comes {abs(offset.late_s) * 1000:.0f} ms {order} the picture."
        found.append(Fault("offset", whole, offset.late_s, standards.most_offset_s, said))
    if spoken_s < standards.least_speech_s:
        least_s = standards.least_speech_s
        said = f"There are {spoken_s:.0f} s of speech that can be used; {least_s:.0f} are needed."
        spoilt_s = voice.speech_s - spoken_s
        if spoilt_s > 0.2 * voice.speech_s:
            said += f" The other {spoilt_s:.0f} s lie where something else is wrong."
        fatal = spoken_s < standards.hopeless_speech_s
        found.append(Fault("little_speech", whole, spoken_s, standards.least_speech_s, said, fatal))
    return found


def _material_faults(
    still: tuple[Span, ...], met: int, voice: Voice, whole: tuple[Span, ...], standards: Standards
) -> list[Fault]:
    """What the person did not do enough of."""
    found: list[Fault] = []
    # One long silence holds as many as fit into it.
    held = sum(int(total_s((span,)) // standards.still_s) for span in still)
    if held < standards.least_stills:
        said = f"There are {held} silences of {standards.still_s:.0f} s with a still face; "
        said += f"{standards.least_stills} are needed."
        found.append(Fault("no_stillness", whole, held, standards.least_stills, said))
    # Of little speech nothing else can be expected: then only that is said.
    expected = standards.least_closures * min(1.0, voice.speech_s / standards.least_speech_s)
    if voice.speech_s >= standards.hopeless_speech_s and met < expected:
        said = f"The lips meet {met} times in {voice.speech_s:.0f} s of speech; {expected:.0f} is the least."
        found.append(Fault("few_labials", whole, met, expected, said))
    return found


def digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
