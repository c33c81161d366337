import json

import pytest

from cvi.bench.knowledge.beir import load_beir, ndcg
from cvi.bench.knowledge.measure import check_options
from cvi.embeddings.shared import shared_embedder
from cvi.errors import UsageError

CORPUS = {
    "pool": "The swimming pool opens at seven in the morning.",
    "bill": "Bills are sent on the first day of the month.",
    "dogs": "Dogs must be kept on a lead in the garden.",
}
QUERIES = {"q1": ("When does the pool open?", "pool"), "q2": ("When do I get my bill?", "bill")}


def test_a_set_in_the_format_of_beir_is_searched_in_each_way(tmp_path):
    (tmp_path / "qrels").mkdir()
    corpus = [json.dumps({"_id": id, "title": "", "text": text}) for id, text in CORPUS.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    queries = [json.dumps({"_id": id, "text": text}) for id, (text, _) in QUERIES.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(queries) + "\n")
    judged = ["query-id\tcorpus-id\tscore", *(f"{id}\t{found}\t1" for id, (_, found) in QUERIES.items())]
    (tmp_path / "qrels" / "test.tsv").write_text("\n".join(judged) + "\n")
    variants = load_beir(tmp_path, tmp_path, shared_embedder("minilm"))
    assert len(variants) == 3
    assert all(figure.values == (1.0, 1.0) for variant in variants for figure in variant.figures)


def test_the_gain_falls_with_the_rank():
    assert ndcg(["a", "b"], {"a": 1}) == 1.0 and ndcg(["b", "a"], {"a": 1}) == pytest.approx(0.631, abs=1e-3)
    assert ndcg(["b"], {"a": 1}) == 0.0


def test_a_folder_without_a_corpus_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no corpus"):
        check_options("graded", tmp_path, False)
