"""Fit how a language model's opinion of "this turn is complete" becomes a probability.

    python scripts/tune_completeness.py [--model MODEL.gguf] [--verbose]

Reads scripts/turn_endings.tsv: for each line the same turn complete and broken off, after a question
or at the beginning, with what the judge of a large model reads before it. Prints how well the raw score separates the two (area under the ROC curve, with
and without the history in front, lower-cased and with a capital), then the logistic's slope and
offset for `cvi/llm/llama_cpp.py`, their cross-validated log loss, and the errors at 0.5.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.llm.base import LlmSettings, Message
from cvi.llm.judge import judged_messages
from cvi.llm.llama_cpp import LlamaCpp, build

DATA = Path(__file__).with_name("turn_endings.tsv")
Floats = npt.NDArray[np.float64]


def read() -> list[tuple[str, str, str]]:
    lines = [line for line in DATA.read_text().splitlines() if line and not line.startswith("#")]
    return [(row[0], row[1], row[2]) for row in (line.split("\t") for line in lines)]


async def score(llm: LlamaCpp, history: bool, capital: bool) -> tuple[Floats, Floats]:
    """Log-odds that an ending comes next: for complete turns, and for broken ones; shape (n,) each."""
    sides: tuple[list[float], list[float]] = ([], [])
    for question, *turns in read():
        asked = [Message("assistant", question)] if question else []
        before = judged_messages(asked) if history else []
        for side, turn in zip(sides, turns, strict=True):
            text = turn[0].upper() + turn[1:] if capital else turn
            p = min(max(await llm.ending_probability(before, text), 1e-6), 1 - 1e-6)
            side.append(math.log(p / (1 - p)))
    return np.array(sides[0]), np.array(sides[1])


def area(complete: Floats, broken: Floats) -> float:
    """Chance that a complete turn scores above a broken one."""
    above = complete[:, None] > broken[None]
    level = complete[:, None] == broken[None]
    return float((above + 0.5 * level).mean())


def fit(x: Floats, y: Floats, steps: int = 60) -> tuple[float, float]:
    """Logistic regression by Newton's method, with a weak prior that keeps it from certainty."""
    inputs = np.stack([x, np.ones_like(x)], axis=1)
    weights = np.zeros(2)
    for _ in range(steps):
        p = 1 / (1 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (p - y) + 0.1 * weights
        hessian = (inputs * (p * (1 - p))[:, None]).T @ inputs + 0.1 * np.eye(2)
        weights -= np.linalg.solve(hessian, gradient)
    return float(weights[0]), float(weights[1])


def log_loss(x: Floats, y: Floats, slope: float, offset: float) -> float:
    p = np.clip(1 / (1 + np.exp(-(slope * x + offset))), 1e-9, 1 - 1e-9)
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="a GGUF; the shipped one by default")
    parser.add_argument("--verbose", action="store_true", help="print every turn's probability")
    options = parser.parse_args()
    llm = build(LlmSettings(model=options.model, context_tokens=1024))
    rows = read()
    print(f"{len(rows)} pairs, {sum(bool(row[0]) for row in rows)} of them answers to a question")
    for history in (True, False):
        for capital in (False, True):
            complete, broken = await score(llm, history, capital)
            print(f"history {history!s:5}  capital {capital!s:5}  AUC {area(complete, broken):.3f}")
    complete, broken = await score(llm, history=True, capital=False)
    x = np.concatenate([complete, broken])
    y = np.concatenate([np.ones_like(complete), np.zeros_like(broken)])
    slope, offset = fit(x, y)
    fold = np.arange(len(x)) % len(rows) % 5
    losses = [log_loss(x[fold == k], y[fold == k], *fit(x[fold != k], y[fold != k])) for k in range(5)]
    p = 1 / (1 + np.exp(-(slope * x + offset)))
    missed, rash = int((p[: len(rows)] < 0.5).sum()), int((p[len(rows) :] >= 0.5).sum())
    print(f"COMPLETENESS_SLOPE = {slope:.2f}\nCOMPLETENESS_OFFSET = {offset:.2f}")
    print(f"log loss {np.mean(losses):.3f} (5-fold); at 0.5: {missed} complete missed, {rash} broken taken")
    if options.verbose:
        turns = [row[1] for row in rows] + [row[2] for row in rows]
        for probability, turn in sorted(zip(p.tolist(), turns, strict=True)):
            print(f"{probability:.3f}  {turn}")
    await llm.close()


if __name__ == "__main__":
    asyncio.run(main())
