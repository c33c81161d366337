"""The lids: a shell over the eyeball, cut by two angles that depend on how far along the eye we are."""

from __future__ import annotations

from cvi.face.sculpted.bake.kernel import Params, kernel

BALL = 0.222  # radius of the eyeball
BALL_Z = 0.515


@kernel
def closure_at(x: float, p: Params) -> float:
    """How far the lid of the eye on x's side is shut: 0 open, 1 shut, below 0 wide."""
    return p.lid_right if x > 0 else p.lid_left  # type: ignore[no-any-return]


@kernel
def lid_edges(along: float, closure: float, p: Params) -> tuple[float, float, float]:
    """Angles (radians above the eye's equator) of the upper and the lower lid's edge, and their arch.

    `along`: -1 at the inner corner to 1 at the outer, in eyeball radii.
    """
    arch = max(1 - (along / 0.93) ** 2, 0.0) ** 0.62
    tilt = p.eye_cant * along * 1.5 - 0.02
    below = 0.46 - 0.20 * p.squint - 0.14 * p.smile
    follow = 0.25 * p.gaze_y * (1 - min(max(closure, 0.0), 1.0))
    open_angle = p.lid_open * (1 - 0.10 * along) - 0.14 * p.squint
    upper = (open_angle * (1 - closure) - below * 0.75 * closure + follow) * arch + tilt
    lower = -(below - 0.10 * closure - follow * 0.5) * arch + tilt
    return upper, lower, arch
