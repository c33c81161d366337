"""`cvi bench latency --smoke`: ten turns that tell whether being fast has been broken.

No absolute time is judged, for machines differ: only how ours compares with the cascade in the same run.
"""

from __future__ import annotations

from cvi.bench.run import Run
from cvi.bench.tables import ratio
from cvi.errors import CviError

SMOKE_CALLERS = "smoke"
SMOKE_TURNS = 10
# Ours against the cascade at P50, first sound, 95 % interval 0.23 to 0.45: measured on 2 idle cores with
# `cvi bench latency --smoke --profile embedded`, which tells it anew.
RECORDED_RATIO = 0.31
WORST_RATIO = 2 * RECORDED_RATIO


def judge_smoke(run: Run) -> str:
    """A sentence when all is well. Raises CviError when ours is not as much faster as it was."""
    found = ratio(run)
    if found is None or found.n_a < SMOKE_TURNS // 2:
        raise CviError("Too few turns were answered on both sides to compare.", "Look at the run's turns.")
    if found.ratio.value > WORST_RATIO:
        raise CviError(
            f"First sound at P50 is {found.ratio.value:.2f} of the cascade's; recorded was "
            f"{RECORDED_RATIO:.2f}, and {WORST_RATIO:.2f} is the most allowed.",
            "Something made replies slow: see the breakdown above.",
        )
    return (
        f"Smoke: first sound at P50 is {found.ratio.value:.2f} of the cascade's "
        f"(recorded {RECORDED_RATIO:.2f}, at most {WORST_RATIO:.2f})."
    )
