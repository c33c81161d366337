"""A good film -> a film with one fault that is known to the frame.

Faults of a finished film are added here: to its picture frame by frame, to its sound, or to its order. Faults
of the performance (a head turned away, no pause, no P, B or M) are films of their own in `plans`.
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
from cvi.testing.footage.labels import KnownFault, Labels, load_labels, save_labels
from cvi.training.footage.reader import Rgb, open_footage
from cvi.training.footage.spans import Span

Rng = np.random.Generator
Picture = Callable[[Rgb, float, int], Rgb]
"""(frame, its time in seconds, its index in the good film) -> the changed frame."""

WHOLE_S = 3.0, 6.0
"""Shortest and longest local fault, seconds."""


@dataclass(frozen=True, slots=True)
class FilmChange:
    """How a film is changed. `picture` changes frames; `keep` are the ranges of frames that stay, in order;
    `sound` changes the whole sound (int16, PLAYED_HZ), None removes it."""

    faults: tuple[KnownFault, ...]
    picture: Picture = lambda rgb, t_s, index: rgb
    keep: tuple[tuple[int, int], ...] | None = None
    sound: Callable[[Pcm], Pcm | None] = lambda pcm: pcm
    sound_late_s: float = 0.0


def add_fault(film: Path, kind: str, seed: int, to: Path) -> Labels:
    """Write `film` with one fault of `kind` (a key of `FAULTS`) into `to`; the same seed, the same film.

    Raises UsageError for an unknown kind or a film without labels, CviError when it cannot be written.
    """
    if kind not in FAULTS:
        raise UsageError(
            f"There is no fault '{kind}' to put into a film.", f"Choose of: {', '.join(FAULTS)}."
        )
    labels = load_labels(film)
    rng = np.random.default_rng([seed, *kind.encode()])
    change = FAULTS[kind](labels, rng)
    keep = change.keep or ((0, labels.frames),)
    pcm = change.sound(_kept_sound(read_audio(film, PLAYED_HZ), keep, labels.fps))
    count = write_film(to, _frames(film, labels, change, keep), pcm, labels.fps)
    changed = labels
    at = labels.frames
    for first, last in reversed([*keep, (labels.frames, labels.frames)]):
        if last < at:
            changed = changed.without(last, at)
        at = first
    changed = replace(changed, frames=count, faults=change.faults, sound_late_s=change.sound_late_s)
    save_labels(changed, to)
    return changed


def _frames(
    film: Path, labels: Labels, change: FilmChange, keep: tuple[tuple[int, int], ...]
) -> Iterator[Rgb]:
    spans = list(keep)
    for frame in open_footage(film).frames(labels.fps):
        while spans and frame.index >= spans[0][1]:
            spans.pop(0)
        if spans and frame.index >= spans[0][0]:
            yield change.picture(frame.rgb, frame.time_s, frame.index)


def _kept_sound(pcm: Pcm, keep: tuple[tuple[int, int], ...], fps: int) -> Pcm:
    step = PLAYED_HZ // fps
    return np.concatenate([pcm[first * step : last * step] for first, last in keep])


def _span(labels: Labels, rng: Rng, shortest_s: float = WHOLE_S[0], longest_s: float = WHOLE_S[1]) -> Span:
    """A random span, away from the film's ends."""
    length_s = float(rng.uniform(shortest_s, longest_s))
    start_s = float(rng.uniform(4.0, max(labels.duration_s - length_s - 4.0, 4.1)))
    return start_s, start_s + length_s


def _within(span: Span, change: Picture) -> Picture:
    return lambda rgb, t_s, index: change(rgb, t_s, index) if span[0] <= t_s < span[1] else rgb


def _too_far(labels: Labels, rng: Rng) -> FilmChange:
    """The whole film from farther away."""
    scale = float(rng.uniform(0.36, 0.5))

    def shrink(rgb: Rgb, t_s: float, index: int) -> Rgb:
        height, width = rgb.shape[:2]
        small = cv2.resize(rgb, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        down, across = height - small.shape[0], (width - small.shape[1]) // 2
        right = width - small.shape[1] - across
        # The wall is extended; the body is still cut off at the bottom.
        return np.asarray(cv2.copyMakeBorder(small, down, 0, across, right, cv2.BORDER_REPLICATE), np.uint8)

    return FilmChange((KnownFault("too_far", 0.0, labels.duration_s, scale),), shrink)


def _face_lost(labels: Labels, rng: Rng) -> FilmChange:
    """The person leans out of the picture and comes back."""
    span = _span(labels, rng)
    side = float(rng.choice([-1.0, 1.0]))

    def lean(rgb: Rgb, t_s: float, index: int) -> Rgb:
        ramp = min((t_s - span[0]) / 0.6, (span[1] - t_s) / 0.6, 1.0)
        shift = np.array([[1, 0, side * ramp * 0.75 * rgb.shape[1]], [0, 1, 0]], np.float32)
        size = rgb.shape[1], rgb.shape[0]
        return np.asarray(cv2.warpAffine(rgb, shift, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)

    return FilmChange((KnownFault("face_lost", span[0] + 0.4, span[1] - 0.4),), _within(span, lean))


def _blur(labels: Labels, rng: Rng) -> FilmChange:
    """The camera loses its focus for a while."""
    span = _span(labels, rng)
    sigma = float(rng.uniform(3.5, 6.0)) * labels.height / 720

    def blur(rgb: Rgb, t_s: float, index: int) -> Rgb:
        return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma), np.uint8)

    return FilmChange((KnownFault("blur", *span, sigma),), _within(span, blur))


def _flicker(labels: Labels, rng: Rng) -> FilmChange:
    """A lamp on the mains: the brightness beats with the camera's rate."""
    amount, rate_hz = float(rng.uniform(0.04, 0.09)), float(rng.uniform(2.5, 9.0))

    def flicker(rgb: Rgb, t_s: float, index: int) -> Rgb:
        gain = 1.0 + amount * float(np.sin(2 * np.pi * rate_hz * t_s))
        return np.asarray(cv2.convertScaleAbs(rgb, alpha=gain), np.uint8)

    return FilmChange((KnownFault("flicker", 0.0, labels.duration_s, amount),), flicker)


def _cut(labels: Labels, rng: Rng) -> FilmChange:
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

        return FilmChange((KnownFault("cut", at / fps, at / fps, zoom),), closer)
    starts = rng.integers(4 * fps, 4 * fps + room, 40)
    nose = labels.anchor_names.index("nose tip")

    def leap(start: int) -> float:
        before, after = labels.anchors[start - 1][nose], labels.anchors[start + gap][nose]
        return float(np.hypot(after[0] - before[0], after[1] - before[1]))

    at = int(max(starts, key=lambda start: leap(int(start))))
    fault = KnownFault("cut", at / fps, at / fps, leap(at))
    return FilmChange((fault,), keep=((0, at), (at + gap, labels.frames)))


def _caption(labels: Labels, rng: Rng) -> FilmChange:
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

    return FilmChange((KnownFault("caption", *span),), _within(span, write))


def _covered(labels: Labels, rng: Rng) -> FilmChange:
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

    return FilmChange((KnownFault("covered", span[0] + 0.3, span[1] - 0.3),), _within(span, cover))


def _two_faces(labels: Labels, rng: Rng) -> FilmChange:
    """Somebody sits down beside the person: the same picture again, mirrored, some way aside."""
    span = _span(labels, rng, 5.0, 9.0)

    def join_in(rgb: Rgb, t_s: float, index: int) -> Rgb:
        width = rgb.shape[1]
        shift, half = round(0.23 * width), width // 2
        left = np.roll(rgb, -shift, axis=1)
        right = np.roll(rgb[:, ::-1], shift, axis=1)
        return np.ascontiguousarray(np.concatenate([left[:, :half], right[:, half:]], axis=1))

    return FilmChange((KnownFault("two_faces", *span),), _within(span, join_in))


def _noisy(labels: Labels, rng: Rng) -> FilmChange:
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

    return FilmChange((KnownFault("noisy", 0.0, labels.duration_s, snr_db),), sound=add)


def _offset(labels: Labels, rng: Rng) -> FilmChange:
    """Sound and picture apart, by three to eight frames, either way."""
    late_s = float(rng.choice([-1.0, 1.0]) * rng.integers(3, 9) / labels.fps)

    def shift(pcm: Pcm) -> Pcm:
        moved = np.roll(pcm, round(late_s * PLAYED_HZ))
        edge = round(abs(late_s) * PLAYED_HZ)
        moved[slice(0, edge) if late_s > 0 else slice(len(moved) - edge, None)] = 0
        return moved

    return FilmChange(
        (KnownFault("offset", 0.0, labels.duration_s, late_s),), sound=shift, sound_late_s=late_s
    )


def _short(labels: Labels, rng: Rng) -> FilmChange:
    """Stopped after some twenty seconds."""
    last = round(float(rng.uniform(18.0, 26.0)) * labels.fps)
    fault = KnownFault("little_speech", 0.0, last / labels.fps)
    return FilmChange((fault,), keep=((0, min(last, labels.frames)),))


def _no_sound(labels: Labels, rng: Rng) -> FilmChange:
    """No sound track."""
    return FilmChange((KnownFault("no_sound", 0.0, labels.duration_s),), sound=lambda pcm: None)


FAULTS: dict[str, Callable[[Labels, Rng], FilmChange]] = {
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


# Fingers from the index to the little one: where they leave the palm, how long and how thick, in widths of
# the palm.
_FINGERS = ((-0.38, 0.95, 0.21), (-0.13, 1.08, 0.22), (0.12, 1.0, 0.21), (0.36, 0.8, 0.18))


def draw_hand(
    rgb: Rgb, at: tuple[float, float], reach: float, tilt: float, skin_at: tuple[float, float]
) -> Rgb:
    """The frame with a hand whose palm's middle is at `at` (x, y pixels), `reach` pixels wide, turned by
    `tilt` degrees. Its colour is the frame's own at `skin_at`, a little redder and darker."""
    height, width = rgb.shape[:2]
    x, y = (int(np.clip(v, 3, side - 4)) for v, side in zip(skin_at, (width, height), strict=True))
    skin = rgb[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(0) * np.array([0.92, 0.82, 0.78])
    shape = np.zeros((height, width), np.uint8)
    lines = np.zeros((height, width), np.uint8)
    # A hand across the face: fingers point sideways and up, the wrist leaves below.
    turn = np.deg2rad(tilt - 60)
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    middle = np.array(at)
    box = (tuple(middle), (reach * 1.1, reach), float(np.rad2deg(turn)))
    cv2.fillPoly(shape, [cv2.boxPoints(box).astype(np.int32)], 255)
    _limb(shape, middle, middle - along * reach * 3.0, reach * 0.72)
    for place, length, thick in _FINGERS:
        root = middle + across * place * reach + along * reach * 0.45
        tip = root + along * length * reach
        _limb(shape, root, tip, thick * reach)
        edge = across * thick * reach * 0.55
        thin = max(round(reach * 0.025), 1)
        cv2.line(lines, _pixel(root + edge), _pixel(tip + edge), 255, thin, cv2.LINE_AA)
    soft = cv2.GaussianBlur(shape, (0, 0), max(reach * 0.015, 0.8)).astype(np.float32) / 255
    # Rounder toward the edges: light from above and before.
    round_ = cv2.GaussianBlur(shape, (0, 0), reach * 0.12).astype(np.float32) / 255
    light = (0.55 + 0.5 * round_) * (1 - 0.35 * cv2.GaussianBlur(lines, (0, 0), 1.2).astype(np.float32) / 255)
    hand = np.clip(skin[None, None] * light[..., None], 0, 255)
    mixed = rgb * (1 - soft[..., None]) + hand * soft[..., None]
    return np.asarray(mixed + 0.5, np.uint8)


def _limb(shape: Rgb, start: np.ndarray, end: np.ndarray, thick: float) -> None:
    cv2.line(shape, _pixel(start), _pixel(end), 255, max(round(thick), 1), cv2.LINE_AA)


def _pixel(point: np.ndarray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
