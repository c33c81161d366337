"""What every embedding engine must do."""

from __future__ import annotations

import numpy as np

from cvi.embeddings.base import Embedder, Vectors

_QUESTIONS = ("When does the swimming pool open?", "How much is a ticket for two children?")
_PASSAGES = (
    "The pool is open from 7 in the morning on weekdays and from 9 at weekends.",
    "Children pay half the price: 4 euros each.",
)


def check_embedder(engine: Embedder) -> None:
    """Raise `AssertionError` unless `engine` keeps the Protocol's promises. The engine is left open."""
    assert engine.name and engine.dimensions > 0
    questions, passages = engine.questions(_QUESTIONS), engine.passages(_PASSAGES)
    for vectors in (questions, passages):
        _check(engine, vectors, 2)
    _check(engine, engine.questions([]), 0)
    _check(engine, engine.passages([]), 0)
    odd = ["", " ", "\0", "word " * 3000, "🙂", "日本語のテキスト"]
    _check(engine, engine.passages(odd), len(odd))
    assert np.allclose(engine.questions(_QUESTIONS[:1]), questions[:1], atol=1e-4), (
        "a text beside others gave another vector than alone"
    )
    many = engine.passages(list(_PASSAGES) * 20)
    assert np.allclose(many[:2], many[-2:], atol=1e-4), "the order of a long list is not kept"
    similarity = questions @ passages.T
    assert engine.information("the") < engine.information("swimming"), (
        "a common word tells more than a rare one"
    )
    assert similarity.argmax(axis=1).tolist() == [0, 1], "a question is nearer to the wrong passage"


def _check(engine: Embedder, vectors: Vectors, rows: int) -> None:
    assert vectors.dtype == np.float32
    assert vectors.shape == (rows, engine.dimensions)
    assert np.isfinite(vectors).all()
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-3), "rows are not unit vectors"
