"""A person made of a few blobs, whose every landmark is known: footage, its track, and a tracker that reads
the blobs back from pixels, so that whole runs can be tested without a real face or a real tracker."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ
from cvi.perception.face_detection import FaceDetection
from cvi.training.footage.reader import FootageFrame
from cvi.training.footage.tracking import FaceTrack

FPS = 25.0
SIZE = (192, 160)
FACE_PX = 88.0
SKIN, BACK, DARK, EYE = (205, 155, 125), (60, 80, 70), (60, 10, 20), (30, 60, 235)
# Template of the face, widths of the face, the base of the nose at the origin, y down, z away.
_EYES = np.array([[-0.2, -0.32], [0.2, -0.32]])
_MOUTH = np.array([0.0, 0.22])


def template(opening: float) -> npt.NDArray[np.float32]:
    """Landmarks (478, 3) of a face that looks ahead, its inner lips `opening` apart; widths of the face."""
    rng = np.random.default_rng(3)
    points = np.zeros((478, 3))
    points[:, :2] = rng.uniform(-0.4, 0.4, (478, 2)) * [1, 1.2]
    points[:, 2] = 1.2 * (points[:, 0] ** 2 + points[:, 1] ** 2)
    points[2] = [0, 0, -0.1]
    points[[234, 454], :2] = [[-0.5, -0.1], [0.5, -0.1]]
    points[[234, 454], 2] = 0.45
    points[[33, 133, 362, 263], :2] = [[-0.28, -0.32], [-0.12, -0.32], [0.12, -0.32], [0.28, -0.32]]
    from cvi.training.footage.face_geometry import JAW, LIPS

    outer, inner = LIPS[:20], LIPS[20:]
    for ring, (wide, high) in ((outer, (0.17, 0.05)), (inner, (0.14, 0.0))):
        for k, index in enumerate(ring):
            # From the left corner along the upper lip to the right, and back along the lower.
            angle = np.pi - 2 * np.pi * k / len(ring)
            up = np.sin(angle)
            low = opening if up < 0 else 0.0
            y = _MOUTH[1] - high * up + low * abs(up) * np.sign(low)
            points[index] = [_MOUTH[0] + wide * np.cos(angle), y, 0.0]
    for pair in ((13, 14), (82, 87), (312, 317)):
        points[pair[0], :2] = points[pair[0], 0], _MOUTH[1]
        points[pair[1], :2] = points[pair[0], 0], _MOUTH[1] + opening
    for k, index in enumerate(JAW):
        points[index] = [0.05 * (k - 4), 0.5 + 0.6 * opening, 0.1]
    return points.astype(np.float32)


@dataclass(frozen=True)
class Puppet:
    """`opening` (n,) of the lips, `place` (n, 2) of the nose in pixels, `roll` (n,) radians."""

    opening: npt.NDArray[np.float64]
    place: npt.NDArray[np.float64]
    roll: npt.NDArray[np.float64]

    @classmethod
    def make(cls, seconds: float, seed: int = 0) -> Puppet:
        """Speaks in bursts: syllables of a quarter second, a silence every two seconds."""
        t = np.arange(round(seconds * FPS)) / FPS
        syllables = np.abs(np.sin(2 * np.pi * 2.1 * t + seed)) * (0.6 + 0.4 * np.sin(1.3 * t))
        opening = 0.16 * syllables * speaking(t)
        place = np.stack([96 + 4 * np.sin(0.9 * t), 74 + 3 * np.cos(0.7 * t + seed)], 1)
        return cls(opening, place, 0.05 * np.sin(0.6 * t))

    def __len__(self) -> int:
        return len(self.opening)

    def landmarks(self, index: int) -> npt.NDArray[np.float32]:
        points = template(float(self.opening[index]))
        return posed(points, self.place[index], float(self.roll[index]), FACE_PX)

    def picture(self, index: int) -> npt.NDArray[np.uint8]:
        """The frame, RGB (160, 192, 3), drawn four times as large and made small."""
        width, height = SIZE
        scale = 4
        canvas = np.empty((height * scale, width * scale, 3), np.uint8)
        canvas[:] = BACK
        canvas[:, :, 1] += (np.arange(width * scale) // 40 % 2 * 8).astype(np.uint8)[None]
        roll, nose = float(self.roll[index]), self.place[index]

        def at(x: float, y: float) -> tuple[int, int]:
            turned = _turn(roll) @ np.array([x, y]) * FACE_PX + nose
            return round(float(turned[0]) * scale), round(float(turned[1]) * scale)

        def ellipse(x: float, y: float, wide: float, high: float, colour: tuple[int, int, int]) -> None:
            axes = max(1, round(wide * FACE_PX * scale)), max(1, round(high * FACE_PX * scale))
            cv2.ellipse(canvas, at(x, y), axes, np.degrees(roll), 0, 360, colour, -1, cv2.LINE_AA)

        ellipse(0, 0.02, 0.5, 0.62 + 0.3 * float(self.opening[index]), SKIN)
        for x, y in _EYES:
            ellipse(x, y, 0.05, 0.05, EYE)
        gap = float(self.opening[index])
        ellipse(0, _MOUTH[1] + gap / 2, 0.17, 0.03 + gap / 2, (190, 60, 70))
        if gap > 0.005:
            ellipse(0, _MOUTH[1] + gap / 2, 0.14, gap / 2, DARK)
        return np.asarray(cv2.resize(canvas, SIZE, interpolation=cv2.INTER_AREA), np.uint8)

    def frames(self) -> list[FootageFrame]:
        return [FootageFrame(i, i / FPS, i / FPS, self.picture(i)) for i in range(len(self))]

    def track(self) -> FaceTrack:
        count = len(self)
        return FaceTrack(
            times_s=np.arange(count) / FPS,
            landmarks=np.stack([self.landmarks(i) for i in range(count)]),
            present=np.ones(count, np.bool_),
            faces=np.ones(count, np.int32),
            width=SIZE[0],
            height=SIZE[1],
            fps=FPS,
            tracker="puppet",
        )

    def sound(self) -> npt.NDArray[np.int16]:
        """Loud where the mouth is open: a voice of a few harmonics, at PLAYED_HZ."""
        t = np.arange(round(len(self) / FPS * PLAYED_HZ)) / PLAYED_HZ
        level = np.interp(t, np.arange(len(self)) / FPS, self.opening) / 0.16
        wave = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 12))
        return (wave * level * 6000).astype(np.int16)

    def write(self, path: Path, with_sound: bool = True) -> Path:
        """As an mp4."""
        import av

        with av.open(str(path), "w") as film:
            picture = film.add_stream(
                "libx264", rate=Fraction(FPS), options={"crf": "10", "preset": "ultrafast"}
            )
            picture.width, picture.height, picture.pix_fmt = *SIZE, "yuv420p"
            picture.codec_context.thread_count = 1
            sound = film.add_stream("aac", rate=PLAYED_HZ) if with_sound else None
            for index in range(len(self)):
                image = av.VideoFrame.from_ndarray(self.picture(index), format="rgb24")
                film.mux(picture.encode(image))
            film.mux(picture.encode(None))
            if sound is not None:
                pcm = self.sound()
                for start in range(0, len(pcm) - 1024, 1024):
                    block = av.AudioFrame.from_ndarray(pcm[None, start : start + 1024], "s16", "mono")
                    block.sample_rate, block.pts = PLAYED_HZ, start
                    film.mux(sound.encode(block))
                film.mux(sound.encode(None))
        return path


class BlobTracker:
    """Finds the blue eyes and the dark mouth in the pixels, and says where that puts the landmarks."""

    name = "blobs"

    def see(self, rgb: npt.NDArray[np.uint8]) -> FaceDetection:
        values = rgb.astype(np.int32)
        blue = values[..., 2] - values[..., 0] > 60
        count, _, stats, middles = cv2.connectedComponentsWithStats(blue.astype(np.uint8))
        order = np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:2] + 1 if count > 2 else []
        if len(order) < 2 or stats[order[1], cv2.CC_STAT_AREA] < 4:
            return FaceDetection(None, 0)
        left, right = sorted(middles[order].tolist())
        across = np.array(right) - left
        face_px = float(np.linalg.norm(across)) / 0.4
        roll = float(np.arctan2(across[1], across[0]))
        nose = np.mean([left, right], axis=0) - _turn(roll) @ np.array([0, -0.32]) * face_px
        # Along the face's middle line: how much of it is the mouth's dark.
        steps = np.arange(0.1, 0.55, 0.0025)
        spots = (_turn(roll) @ np.stack([0 * steps, steps])) * face_px + nose[:, None]
        red = cv2.remap(
            rgb[..., 0].astype(np.float32),
            spots[0].astype(np.float32)[None],
            spots[1].astype(np.float32)[None],
            cv2.INTER_LINEAR,
        )[0]
        dark = np.clip((170.0 - red) / (170.0 - DARK[0]), 0, 1)
        opening = float(dark.sum() * 0.0025)
        return FaceDetection(posed(template(opening), nose, roll, face_px), 1)

    def close(self) -> None:
        pass


def speaking(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """1 where the puppet speaks: 1.5 s of each 2 s."""
    return np.clip(8 * np.minimum(t % 2.0, 1.5 - t % 2.0), 0, 1)


def posed(
    points: npt.NDArray[np.float32], nose: npt.NDArray[np.float64], roll: float, face_px: float
) -> npt.NDArray[np.float32]:
    out = points.astype(np.float64) * face_px
    out[:, :2] = out[:, :2] @ _turn(roll).T + nose
    return out.astype(np.float32)


def _turn(roll: float) -> npt.NDArray[np.float64]:
    return np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
