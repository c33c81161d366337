"""Fit the weights of the decision to call a tool on the requests of its development set.

    python scripts/tune_tools.py out/bench/RUN/calls.json

The file is written by `cvi bench tools --development`. Requests that the model was not asked about do not
count. Prints the weights for `cvi.tools.decision.WEIGHTS`, and how many requests they decide rightly, each
left out once.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np

PENALTY = 0.02
"""Of the square of the weights: few requests would else give extreme ones."""


def fit(features: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Weights and offset of a logistic regression, by Newton's method on standardized features."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    x = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    weights = np.zeros(x.shape[1])
    penalty = np.diag([PENALTY * len(x)] * (x.shape[1] - 1) + [0.0])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ weights))
        gradient = x.T @ (p - called) + penalty @ weights
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty
        weights -= np.linalg.solve(hessian, gradient)
    own = weights[:-1] / spread
    return np.append(own, weights[-1] - own @ mean)


def main() -> None:
    rows = [row for row in json.loads(Path(sys.argv[1]).read_text()) if row["model"] is not None]
    odds = [min(max(row["model"], 1e-4), 1 - 1e-4) for row in rows]
    features = np.array([[row["likeness"], math.log(p / (1 - p))] for row, p in zip(rows, odds, strict=True)])
    called = np.array([row["wanted"] is not None for row in rows], float)
    weights = fit(features, called)
    right = 0
    for index in range(len(rows)):
        rest = np.arange(len(rows)) != index
        left_out = fit(features[rest], called[rest])
        right += (left_out[:-1] @ features[index] + left_out[-1] > 0) == bool(called[index])
    print(f"likeness={weights[0]:.2f} odds={weights[1]:.3f} offset={weights[2]:.2f}")
    print(f"{right} of {len(rows)} requests, each left out of its own fit")


if __name__ == "__main__":
    main()
