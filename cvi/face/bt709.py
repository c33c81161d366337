"""From RGB to the values of video, for every renderer."""

from __future__ import annotations

import numpy as np

# Rows: Y, Cb, Cr from 8-bit R, G, B (ITU-R BT.709-6, section 3; limited range).
TO_YCC = np.array(
    [
        [0.2126 * 219 / 255, 0.7152 * 219 / 255, 0.0722 * 219 / 255, 16.0],
        [-0.2126 / 1.8556 * 224 / 255, -0.7152 / 1.8556 * 224 / 255, 0.9278 / 1.8556 * 224 / 255, 128.0],
        [0.7874 / 1.5748 * 224 / 255, -0.7152 / 1.5748 * 224 / 255, -0.0722 / 1.5748 * 224 / 255, 128.0],
    ],
    np.float32,
)
