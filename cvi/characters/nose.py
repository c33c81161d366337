"""The nose: bridge, tip, wings, nostrils."""

from __future__ import annotations

from cvi.characters.distance import bell, capsule, ellipsoid, smooth_max, smooth_min, step
from cvi.characters.kernel import Params, kernel


@kernel
def tip_at(p: Params) -> tuple[float, float]:
    """Height y and depth z of the tip's middle."""
    return -0.245 * p.nose_length - 0.01 + 0.03 * (p.nose_up - 0.4), 0.835 + 0.085 * p.nose_out


@kernel
def with_nose(d: float, x: float, sx: float, y: float, z: float, p: Params) -> float:
    """The nose added to the head's distance `d`."""
    width, tip, bridge = p.nose_width, p.nose_tip, p.nose_bridge
    tip_y, tip_z = tip_at(p)
    root_z = 0.612 + 0.05 * p.nose_out
    middle_y = 0.5 * (0.16 + tip_y)
    middle_z = 0.5 * (root_z + tip_z) - 0.005 + 0.035 * p.nose_hump
    upper = capsule(
        x, y, z, 0.0, 0.16, root_z, 0.0, middle_y, middle_z - 0.045 * bridge, 0.062 * bridge, 0.062 * bridge
    )
    lower = capsule(
        x, y, z, 0.0, middle_y, middle_z - 0.045 * bridge, 0.0, tip_y + 0.01, tip_z - 0.045,
        0.062 * bridge, 0.072 * (0.4 * width + 0.6 * tip),
    )  # fmt: skip
    d = smooth_min(d, smooth_min(upper, lower, 0.05), 0.13)
    ball = ellipsoid(x, y - tip_y, z - tip_z, 0.088 * tip * (0.7 + 0.3 * width), 0.074 * tip, 0.074 * tip)
    flare = 0.006 * max(p.smile, 0.0)
    wing_x, wing_y = 0.104 * width + flare, tip_y - 0.030
    wing = ellipsoid(sx - wing_x, y - wing_y, z - tip_z + 0.095, 0.056 * width, 0.056, 0.078)
    columella = capsule(
        x, y, z, 0.0, tip_y - 0.05, tip_z - 0.01, 0.0, tip_y - 0.10, tip_z - 0.13, 0.026, 0.03
    )
    nose = smooth_min(smooth_min(ball, wing, 0.055), columella, 0.04)
    d = smooth_min(d, nose, 0.06)
    # the groove over the wing
    crease = bell(sx - wing_x - 0.052 * width, 0.018) * bell(y - wing_y - 0.012, 0.05) * step(0.55, 0.66, z)
    d += 0.010 * crease
    nostril = ellipsoid(
        sx - 0.053 * width - 0.2 * (tip_y - 0.075 - y),
        y - tip_y + 0.078 - 0.05 * p.nose_up,
        z - tip_z + 0.055,
        0.030 * width, 0.024, 0.050,
    )  # fmt: skip
    return smooth_max(d, -nostril, 0.028)
