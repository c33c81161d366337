"""What a recognizer decoded is kept, and counts as long as it took."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import Pcm
from cvi.bench.layers.recognitions import Recognitions
from cvi.bench.layers.simulation import run_simulated
from cvi.errors import UsageError
from cvi.testing.fakes import FakeStt, Vocabulary

SOUND = np.arange(160, dtype=np.int16)


class Decoder:
    """Counts how often it decodes."""

    def __init__(self) -> None:
        self.decoded = 0

    def transcribe(self, pcm: Pcm) -> str:
        self.decoded += 1
        return f"{len(pcm)} samples"


def test_a_window_is_decoded_once_also_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "heard.jsonl"
    first, other = Decoder(), Decoder()
    counted: list[float] = []
    Recognitions(path, "base").attach(first, counted.append)
    assert [first.transcribe(SOUND) for _ in range(2)] == ["160 samples"] * 2
    assert first.decoded == 1 and len(counted) == 1
    with path.open("a") as file:
        file.write('["cut sho')
    Recognitions(path, "base").attach(other, counted.append)
    assert other.transcribe(SOUND) == "160 samples" and other.decoded == 0
    assert other.transcribe(SOUND[:80]) == "80 samples" and other.decoded == 1


def test_another_model_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "heard.jsonl"
    for name in ("base", "small"):
        decoder = Decoder()
        Recognitions(path, name).attach(decoder, lambda seconds: None)
        decoder.transcribe(SOUND)
        assert decoder.decoded == 1


def test_a_recognizer_without_windows_is_left_alone(tmp_path: Path) -> None:
    engine = FakeStt(Vocabulary())
    Recognitions(tmp_path / "heard.jsonl", "fake").attach(engine, lambda seconds: None)
    assert not hasattr(engine, "transcribe")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Recognitions(tmp_path, "base")


def test_what_is_looked_up_takes_as_long_as_it_took() -> None:
    async def main() -> float:
        import asyncio

        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, lambda: loop.count(2.0))  # type: ignore[attr-defined]
        return loop.time() - began_s

    assert 2.0 <= run_simulated(main()) < 3.0
