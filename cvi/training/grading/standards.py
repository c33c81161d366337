"""What footage is measured against; every number with its unit and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standards:
    """Where no other source is named, a number was set between the synthetic good and bad films and the
    real clips of the project's test media; `scripts/measure_grader` prints how all of them come out."""

    face_px: float = 180.0
    """Ear to ear, in the film's own pixels; below it a 720p face is blown up."""
    hopeless_face_px: float = 90.0
    """The generator's smallest crop is 96 pixels."""
    most_turn_degrees: float = 15.0
    """Between the nose and the camera; further, one cheek hides the mouth's corner."""
    least_turn_s: float = 0.6
    least_lost_s: float = 0.24
    most_lost_share: float = 0.5
    """Of all frames; more, and this is no film of a face."""
    least_second_face_s: float = 0.8
    most_second_face_share: float = 0.3
    most_blur: float = 0.58
    """Crete et al. 2007 on the face at 192 pixels: 0 razor-sharp, 1 nothing left. Real clips lie at 0.38 to
    0.50, a stock face at 0.47, the same blurred by one pixel (sigma) at 0.60, by two at 0.72."""
    least_blur_s: float = 0.6
    most_flicker: float = 0.006
    """The median change of brightness from frame to frame within a second, as a share."""
    least_flicker_s: float = 1.0
    cut_ratio: float = 6.0
    """How many times the usual change between two frames a cut is, in the picture and in the face's place.
    The four labelled jump cuts of a real clip (dfrf_cnn2) lie at 14.5 to 34, its quickest movement at 5.9."""
    text_rows: int = 6
    """Rows of a face of 192 pixels that look like writing."""
    least_text_s: float = 0.4
    most_strange: float = 0.14
    """How much the lower face differs from anything it is in the rest of the film, of its brightness. Hands
    in synthetic films lie at 0.18 and 0.31, seven real clips without any at 0.10 at most."""
    least_covered_s: float = 0.4
    least_snr_db: float = 18.0
    most_offset_s: float = 0.08
    """Two frames at 25 a second."""
    least_speech_s: float = 60.0
    hopeless_speech_s: float = 12.0
    """27 s of speech trained a mouth that could be used (reference: the prototype); half of it does not."""
    still_s: float = 4.0
    least_stills: int = 2
    least_closures: int = 15
    """Lips that meet while speaking, for P, B and M; a minute of ordinary English has about 60."""
    least_fps: float = 20.0
    most_stalled_share: float = 0.12
    """Of the frames at the working rate, those that repeat the one before."""
