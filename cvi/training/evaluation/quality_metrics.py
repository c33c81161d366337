"""Measures of pictures and movements, by their standard names.

Pictures are uint8 or float of 0..255, (h, w, 3) or (h, w). LPIPS and sync-network confidence are not among
them: their weights are not distributed with this program.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from cvi.training.arrays import Bools, Floats

Picture = npt.NDArray[np.generic]


def psnr(a: Picture, b: Picture, where: Bools | None = None) -> float:
    """Peak signal to noise, dB, over the pixels `where` (h, w) or all; at most 100."""
    gap = a.astype(np.float64) - b.astype(np.float64)
    if where is not None:
        gap = gap[where]
    return min(100.0, float(10 * np.log10(255.0**2 / max(float((gap**2).mean()), 1e-12))))


def ssim(a: Picture, b: Picture) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window of 1.5 px, mean of the channels."""
    return float(_ssim_parts(a, b)[0].mean())


def ms_ssim(a: Picture, b: Picture) -> float:
    """Multi-scale structural similarity (Wang et al. 2003), with as many of the five scales as fit."""
    shares = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
    parts: list[float] = []
    for level in range(len(shares)):
        whole, contrast = _ssim_parts(a, b)
        last = level == len(shares) - 1 or min(a.shape[:2]) < 22
        parts.append(max(float((whole if last else contrast).mean()), 1e-6))
        if last:
            break
        size = a.shape[1] // 2, a.shape[0] // 2
        a, b = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (a, b))
    used = shares[: len(parts)] / shares[: len(parts)].sum()
    return float(np.prod(np.array(parts) ** used))


def gradient_similarity(a: Picture, b: Picture) -> float:
    """Similarity of edges, 0..1: 2 |Ga||Gb| / (|Ga|^2 + |Gb|^2) of Scharr gradients of the luma, mean
    (after Liu et al. 2012)."""
    ga, gb = (_gradient(x) for x in (a, b))
    steady = 170.0
    return float(((2 * ga * gb + steady) / (ga**2 + gb**2 + steady)).mean())


def sharpness(a: Picture) -> float:
    """Mean gradient strength, levels a pixel; meaningful relative to the truth's."""
    return float(_gradient(a).mean())


def correlation(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Pearson correlation; 0 where one of them is constant."""
    # In single precision a constant's deviation is not exactly 0.
    if len(a) < 3 or float(np.std(a)) < 1e-6 or float(np.std(b)) < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def jitter(points: Floats) -> float:
    """Mean length of the second difference in time of points (n, k, 2)."""
    if len(points) < 3:
        return 0.0
    return float(np.linalg.norm(np.diff(points, n=2, axis=0), axis=-1).mean())


def lag_frames(truth: Floats, result: Floats, most: int = 8) -> tuple[int, float]:
    """By how many frames `result` is later than `truth`, at most `most`, and their correlation at that
    lag."""
    found: list[tuple[float, int]] = []
    for lag in range(-most, most + 1):
        a = truth[max(0, -lag) : len(truth) - max(0, lag)]
        b = result[max(0, lag) : len(result) - max(0, -lag)]
        found.append((correlation(a, b), lag))
    best = max(found, key=lambda item: (item[0], -abs(item[1])))
    return best[1], best[0]


def amplitude(truth: Floats, result: Floats) -> float:
    """The standard deviation of a movement over the truth's."""
    return float(np.std(result) / max(float(np.std(truth)), 1e-9))


def _ssim_parts(a: Picture, b: Picture) -> tuple[Floats, Floats]:
    x, y = a.astype(np.float32), b.astype(np.float32)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    contrast = np.asarray((2 * both + c2) / (vx + vy + c2), np.float32)
    alike = np.asarray((2 * mx * my + c1) / (mx * mx + my * my + c1), np.float32)
    return alike * contrast, contrast


def _gradient(picture: Picture) -> Floats:
    plain = picture.astype(np.float32)
    if plain.ndim == 3:
        plain = cv2.transform(plain, np.array([[0.2126, 0.7152, 0.0722]], np.float32))
    across, down = (cv2.Scharr(plain, cv2.CV_32F, *way) / 16 for way in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down), np.float32)
