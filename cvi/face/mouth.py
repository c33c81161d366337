"""The mouth's part of the control vector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MouthShape:
    """One moment of the mouth; the fields mean what they mean in `Controls`, each 0..1.

    `jaw` opening, `wide` corners out, `round` protruded, `press` lips together, `tuck` lower lip to
    upper teeth, `tongue` tip visible. Rest is all zeros: lips touch, nothing is tensed.
    """

    jaw: float = 0.0
    wide: float = 0.0
    round: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0


REST = MouthShape()


def ease(x: float) -> float:
    """Smooth step: 0 for x <= 0, 1 for x >= 1, exactly, without a corner between."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    return x * x * (3.0 - 2.0 * x)


def fall(since_s: float, within_s: float) -> float:
    """1 at 0 s and before, exactly 0 from `within_s` on."""
    return 1.0 - ease(since_s / within_s)
