"""A good film -> a bad one, with one fault in it that is known to the frame.

What can be done to a finished film is done here: to its picture frame by frame, to its sound, or to its
order. What must be performed otherwise (a head turned away, no pause, no P, B or M) is in `plans`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from cvi.audio.block import PLAYED_HZ, Pcm
from cvi.errors import UsageError
from cvi.media.decode import read_audio
from cvi.testing.footage.film import write_film
from cvi.testing.footage.hand import draw_hand
from cvi.testing.footage.labels import KnownFault, Labels, Span, load_labels, save_labels
from cvi.training.footage.reader import Rgb, open_footage

Rng = np.random.Generator
Picture = Callable[[Rgb, float, int], Rgb]
"""(frame, its time in seconds, its index in the good film) -> the spoilt frame."""

WHOLE_S = 3.0, 6.0
"""How long a fault that comes and goes lasts, seconds, at least and at most."""


@dataclass(frozen=True, slots=True)
class Spoilt:
    """What becomes of a film. `picture` changes frames; `keep` says which frames stay, in order;
    `sound` changes the whole sound (int16, PLAYED_HZ), None when there is none left."""

    faults: tuple[KnownFault, ...]
    picture: Picture = lambda rgb, t_s, index: rgb
    keep: tuple[tuple[int, int], ...] | None = None
    sound: Callable[[Pcm], Pcm | None] = lambda pcm: pcm
    sound_late_s: float = 0.0


def spoil(film: Path, kind: str, seed: int, to: Path) -> Labels:
    """Write `film` with one fault of `kind` (a key of `SPOILERS`) into `to`; the same seed, the same film.

    Raises UsageError for an unknown kind or a film without labels, CviError when it cannot be written.
    """
    if kind not in SPOILERS:
        raise UsageError(
            f"There is no fault '{kind}' to put into a film.", f"Choose of: {', '.join(SPOILERS)}."
        )
    labels = load_labels(film)
    rng = np.random.default_rng([seed, *kind.encode()])
    spoilt = SPOILERS[kind](labels, rng)
    keep = spoilt.keep or ((0, labels.frames),)
    pcm = spoilt.sound(_kept_sound(read_audio(film, PLAYED_HZ), keep, labels.fps))
    count = write_film(to, _frames(film, labels, spoilt, keep), pcm, labels.fps)
    changed = labels
    at = labels.frames
    for first, last in reversed([*keep, (labels.frames, labels.frames)]):
        if last < at:
            changed = changed.without(last, at)
        at = first
    changed = replace(changed, frames=count, faults=spoilt.faults, sound_late_s=spoilt.sound_late_s)
    save_labels(changed, to)
    return changed


def _frames(film: Path, labels: Labels, spoilt: Spoilt, keep: tuple[tuple[int, int], ...]) -> Iterator[Rgb]:
    spans = list(keep)
    for frame in open_footage(film).frames(labels.fps):
        while spans and frame.index >= spans[0][1]:
            spans.pop(0)
        if spans and frame.index >= spans[0][0]:
            yield spoilt.picture(frame.rgb, frame.time_s, frame.index)


def _kept_sound(pcm: Pcm, keep: tuple[tuple[int, int], ...], fps: int) -> Pcm:
    step = PLAYED_HZ // fps
    return np.concatenate([pcm[first * step : last * step] for first, last in keep])


def _span(labels: Labels, rng: Rng, shortest_s: float = WHOLE_S[0], longest_s: float = WHOLE_S[1]) -> Span:
    """Somewhere while the person speaks, away from the film's ends."""
    length_s = float(rng.uniform(shortest_s, longest_s))
    start_s = float(rng.uniform(4.0, max(labels.duration_s - length_s - 4.0, 4.1)))
    return start_s, start_s + length_s


def _within(span: Span, change: Picture) -> Picture:
    return lambda rgb, t_s, index: change(rgb, t_s, index) if span[0] <= t_s < span[1] else rgb


def _too_far(labels: Labels, rng: Rng) -> Spoilt:
    """The whole film from further away: the person is small in the picture."""
    scale = float(rng.uniform(0.36, 0.5))

    def shrink(rgb: Rgb, t_s: float, index: int) -> Rgb:
        height, width = rgb.shape[:2]
        small = cv2.resize(rgb, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        down, across = height - small.shape[0], (width - small.shape[1]) // 2
        right = width - small.shape[1] - across
        # The wall goes on; the body stays cut off by the table below.
        return np.asarray(cv2.copyMakeBorder(small, down, 0, across, right, cv2.BORDER_REPLICATE), np.uint8)

    return Spoilt((KnownFault("too_far", 0.0, labels.duration_s, scale),), shrink)


def _face_lost(labels: Labels, rng: Rng) -> Spoilt:
    """The person leans out of the picture and comes back."""
    span = _span(labels, rng)
    side = float(rng.choice([-1.0, 1.0]))

    def lean(rgb: Rgb, t_s: float, index: int) -> Rgb:
        ramp = min((t_s - span[0]) / 0.6, (span[1] - t_s) / 0.6, 1.0)
        shift = np.array([[1, 0, side * ramp * 0.75 * rgb.shape[1]], [0, 1, 0]], np.float32)
        size = rgb.shape[1], rgb.shape[0]
        return np.asarray(cv2.warpAffine(rgb, shift, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    return Spoilt((KnownFault("face_lost", span[0] + 0.4, span[1] - 0.4),), _within(span, lean))


def _blur(labels: Labels, rng: Rng) -> Spoilt:
    """The camera loses its focus for a while."""
    span = _span(labels, rng)
    sigma = float(rng.uniform(3.5, 6.0)) * labels.height / 720

    def blur(rgb: Rgb, t_s: float, index: int) -> Rgb:
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)

    return Spoilt((KnownFault("blur", *span, sigma),), _within(span, blur))


def _flicker(labels: Labels, rng: Rng) -> Spoilt:
    """A lamp on the mains: the brightness beats with the camera's rate."""
    amount, rate_hz = float(rng.uniform(0.04, 0.09)), float(rng.uniform(2.5, 9.0))

    def flicker(rgb: Rgb, t_s: float, index: int) -> Rgb:
        gain = 1.0 + amount * float(np.sin(2 * np.pi * rate_hz * t_s))
        return np.asarray(cv2.convertScaleAbs(rgb, alpha=gain), np.uint8)

    return Spoilt((KnownFault("flicker", 0.0, labels.duration_s, amount),), flicker)


def _cut(labels: Labels, rng: Rng) -> Spoilt:
    """Some seconds cut out where the head stands differently before and after; or a sudden zoom."""
    fps = labels.fps
    gap = round(float(rng.uniform(1.5, 4.0)) * fps)
    room = labels.frames - gap - 8 * fps
    if room < 1 or rng.random() < 0.5:
        at, zoom = round(float(rng.uniform(0.3, 0.7)) * labels.frames), float(rng.uniform(1.12, 1.25))

        def closer(rgb: Rgb, t_s: float, index: int) -> Rgb:
            if index < at:
                return rgb
            height, width = rgb.shape[:2]
            moved = [[zoom, 0, (1 - zoom) * width / 2], [0, zoom, (1 - zoom) * height * 0.4]]
            matrix = np.array(moved, np.float32)
            return np.asarray(cv2.warpAffine(rgb, matrix, (width, height)), np.uint8)

        return Spoilt((KnownFault("cut", at / fps, at / fps, zoom),), closer)
    starts = rng.integers(4 * fps, 4 * fps + room, 40)
    nose = labels.anchor_names.index("nose tip")

    def leap(start: int) -> float:
        before, after = labels.anchors[start - 1][nose], labels.anchors[start + gap][nose]
        return float(np.hypot(after[0] - before[0], after[1] - before[1]))

    at = int(max(starts, key=lambda start: leap(int(start))))
    fault = KnownFault("cut", at / fps, at / fps, leap(at))
    return Spoilt((fault,), keep=((0, at), (at + gap, labels.frames)))


def _caption(labels: Labels, rng: Rng) -> Spoilt:
    """Subtitles across the mouth."""
    span = _span(labels, rng, 4.0, 9.0)
    mouth = labels.anchor_names.index("mouth at rest")
    words = [word for word in labels.text.split() if "<" not in word and ">" not in word]
    at = int(rng.integers(0, max(len(words) - 8, 1)))
    lines = " ".join(words[at : at + 4]), " ".join(words[at + 4 : at + 8])

    def write(rgb: Rgb, t_s: float, index: int) -> Rgb:
        picture = rgb.copy()
        y = labels.anchors[index][mouth][1]
        size = labels.height / 560
        for number, line in enumerate(lines):
            (width, height), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_DUPLEX, size, 2)
            place = ((labels.width - width) // 2, round(y + (number * 1.5 + 0.3) * height))
            for colour, thick in (((0, 0, 0), 7), ((255, 255, 255), 2)):
                cv2.putText(picture, line, place, cv2.FONT_HERSHEY_DUPLEX, size, colour, thick, cv2.LINE_AA)
        return picture

    return Spoilt((KnownFault("caption", *span),), _within(span, write))


def _covered(labels: Labels, rng: Rng) -> Spoilt:
    """A hand before the mouth."""
    span = _span(labels, rng, 2.0, 4.0)
    mouth = labels.anchor_names.index("mouth at rest")
    nose = labels.anchor_names.index("nose tip")
    tilt = float(rng.uniform(-25, 25))

    def cover(rgb: Rgb, t_s: float, index: int) -> Rgb:
        x, y = labels.anchors[index][mouth]
        away = 1.0 - min((t_s - span[0]) / 0.3, (span[1] - t_s) / 0.3, 1.0)
        reach = abs(y - labels.anchors[index][nose][1]) * 2.6
        sway = 4.0 * float(np.sin(5 * t_s))
        palm = x + sway, y + away * labels.height * 0.6
        return draw_hand(rgb, palm, reach, tilt, labels.anchors[index][0])

    return Spoilt((KnownFault("covered", span[0] + 0.3, span[1] - 0.3),), _within(span, cover))


def _two_faces(labels: Labels, rng: Rng) -> Spoilt:
    """Somebody sits down beside the person: the same picture again, mirrored, some way aside."""
    span = _span(labels, rng, 5.0, 9.0)

    def join_in(rgb: Rgb, t_s: float, index: int) -> Rgb:
        width = rgb.shape[1]
        shift, half = round(0.23 * width), width // 2
        left = np.roll(rgb, -shift, axis=1)
        right = np.roll(rgb[:, ::-1], shift, axis=1)
        return np.ascontiguousarray(np.concatenate([left[:, :half], right[:, half:]], axis=1))

    return Spoilt((KnownFault("two_faces", *span),), _within(span, join_in))


def _noisy(labels: Labels, rng: Rng) -> Spoilt:
    """A fan beside the microphone."""
    snr_db = float(rng.uniform(4.0, 12.0))

    def add(pcm: Pcm) -> Pcm:
        white = rng.normal(0.0, 1.0, len(pcm))
        # Louder below 1 kHz than above, as fans and streets are.
        fan = np.convolve(white, np.exp(-np.arange(24) / 5.0), "same")
        loud = pcm.astype(np.float64)
        level = float(np.sqrt(np.mean(loud[np.abs(loud) > 300] ** 2)))
        fan *= level * 10 ** (-snr_db / 20) / float(np.sqrt(np.mean(fan**2)))
        return np.asarray(np.clip(loud + fan, -32768, 32767), np.int16)

    return Spoilt((KnownFault("noisy", 0.0, labels.duration_s, snr_db),), sound=add)


def _offset(labels: Labels, rng: Rng) -> Spoilt:
    """Sound and picture apart, by three to eight frames, either way."""
    late_s = float(rng.choice([-1.0, 1.0]) * rng.integers(3, 9) / labels.fps)

    def shift(pcm: Pcm) -> Pcm:
        moved = np.roll(pcm, round(late_s * PLAYED_HZ))
        edge = round(abs(late_s) * PLAYED_HZ)
        moved[slice(0, edge) if late_s > 0 else slice(len(moved) - edge, None)] = 0
        return moved

    return Spoilt((KnownFault("offset", 0.0, labels.duration_s, late_s),), sound=shift, sound_late_s=late_s)


def _short(labels: Labels, rng: Rng) -> Spoilt:
    """Stopped after some twenty seconds."""
    last = round(float(rng.uniform(18.0, 26.0)) * labels.fps)
    fault = KnownFault("little_speech", 0.0, last / labels.fps)
    return Spoilt((fault,), keep=((0, min(last, labels.frames)),))


def _no_sound(labels: Labels, rng: Rng) -> Spoilt:
    return Spoilt((KnownFault("no_sound", 0.0, labels.duration_s),), sound=lambda pcm: None)


SPOILERS: dict[str, Callable[[Labels, Rng], Spoilt]] = {
    "too_far": _too_far,
    "face_lost": _face_lost,
    "blur": _blur,
    "flicker": _flicker,
    "cut": _cut,
    "caption": _caption,
    "covered": _covered,
    "two_faces": _two_faces,
    "noisy": _noisy,
    "offset": _offset,
    "little_speech": _short,
    "no_sound": _no_sound,
}
