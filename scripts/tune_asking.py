"""Fit what a turn asks of documents from its vector (`cvi.knowledge.asking`).

    python scripts/tune_asking.py [--write] [--verbose]

Reads cvi/bench/knowledge/asking.tsv and the questions of the development sets of `cvi bench knowledge`.
Prints, by ten-fold cross-validation and for the turns that are held out, how well small talk is told from
questions and turns about the answer before from all others, and how many of the graded questions would pass
for small talk. --write replaces cvi/knowledge/asking.json.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from numpy.typing import NDArray

from cvi.bench.knowledge.question_set import load_sources, load_turns
from cvi.embeddings.shared import shared_embedder
from cvi.files import write_text
from cvi.knowledge.asking import WEIGHTS

RIDGE = 0.03
"""Of 0.003 to 1 the best by the cross-validated loss that still leaves held-out turns at the same rate."""
Floats = NDArray[np.float64]


def read(part: str) -> list[tuple[str, str]]:
    """Kind and text of the turns of a part; the development questions are `asks` of `fit`."""
    rows = load_turns(part)
    if part == "fit":
        rows += [("asks", each.text) for source in load_sources("grounding") for each in source.questions]
    return rows


def fit(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Logistic regression by Newton's method with a ridge; both labels weigh the same."""
    middle = x.mean(axis=0)
    inputs = np.column_stack([np.ones(len(x)), x - middle])
    each = np.where(y == 1, len(y) / (2 * y.sum()), len(y) / (2 * (len(y) - y.sum())))
    prior = np.diag([0.0] + [RIDGE] * x.shape[1])
    weights = np.zeros(inputs.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (each * (p - y)) + prior @ weights
        step = np.linalg.solve((inputs * (each * p * (1 - p))[:, None]).T @ inputs + prior, gradient)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return float(weights[0] - middle @ weights[1:]), weights[1:]


def area(scores: Floats, labels: Floats) -> float:
    """Chance that a turn of the kind scores above another one."""
    is_one, is_none = scores[labels == 1], scores[labels == 0]
    return float((is_one[:, None] > is_none).mean() + 0.5 * (is_one[:, None] == is_none).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the weights of the program")
    parser.add_argument("--verbose", action="store_true", help="print held-out turns that are taken wrongly")
    options = parser.parse_args()
    embedder = shared_embedder()
    turns, held = read("fit"), read("held")
    graded = [each.text for source in load_sources("graded") for each in source.questions]
    vectors, held_vectors = (embedder.questions([text for _, text in part]) for part in (turns, held))
    graded_vectors = embedder.questions(graded)
    folds = np.random.default_rng(0).integers(0, 10, len(turns))
    found: list[tuple[float, Floats]] = []
    for name, kinds in (("asks", ("asks", "back")), ("refers back", ("back",))):
        labels, held_labels = (np.array([float(kind in kinds) for kind, _ in part]) for part in (turns, held))
        scores = np.zeros(len(turns))
        for fold in range(10):
            bias, weights = fit(vectors[folds != fold], labels[folds != fold])
            scores[folds == fold] = bias + vectors[folds == fold] @ weights
        bias, weights = fit(vectors, labels)
        found.append((bias, weights))
        tried = bias + held_vectors @ weights
        right, held_right = (scores > 0) == (labels == 1), (tried > 0) == (held_labels == 1)
        print(
            f"{name}: {len(turns)} turns, {int(labels.sum())} of the kind; cross-validated area "
            f"{area(scores, labels):.3f}, {right.mean():.1%} right; held out ({len(held)}): area "
            f"{area(tried, held_labels):.3f}, {held_right.mean():.1%} right; of {len(graded)} graded "
            f"questions {(bias + graded_vectors @ weights > 0).mean():.1%} are of the kind"
        )
        if options.verbose:
            for (kind, text), score, good in zip(held, tried, held_right, strict=True):
                if not good:
                    print(f"  {score:+.2f} {kind}: {text}")
    if options.write:
        written = {
            "embedder": embedder.name,
            "bias": [round(bias, 3) for bias, _ in found],
            "weights": [[round(float(each), 3) for each in weights] for _, weights in found],
        }
        write_text(WEIGHTS, json.dumps(written) + "\n")


if __name__ == "__main__":
    main()
