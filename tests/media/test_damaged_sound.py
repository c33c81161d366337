"""Damaged packets of sound are left out and told; whatever a decoder raises never ends a thread."""

from __future__ import annotations

import random
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from cvi.errors import UsageError
from cvi.media.readers import AudioReader


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "tone.mp4"
    with av.open(str(path), "w") as made:
        track = made.add_stream("aac", rate=44_100, layout="mono")
        for start in range(0, 44_100 * 3, 1024):
            tone = (8000 * np.sin(np.arange(start, start + 1024) * 0.05)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44_100, start, Fraction(1, 44_100)
            made.mux(track.encode(frame))
        made.mux(track.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("seed", range(12))
def test_damage_costs_its_own_packets_alone(film: bytes, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", crashed.append)
    chance = random.Random(seed)
    damaged = bytearray(film)
    begin, end = film.index(b"mdat") + 8, film.index(b"moov")
    for _ in range(10):
        at = chance.randrange(begin, end - 40)
        damaged[at : at + 20] = chance.randbytes(20)
    (tmp_path / "damaged.mp4").write_bytes(damaged)
    heard = 0
    try:
        reader = AudioReader(tmp_path / "damaged.mp4")
        while len(piece := reader.read(16_000)):
            heard += len(piece)
        reader.close()
    except UsageError:
        heard = -1
    assert not crashed and heard > 16_000, "the rest is heard"
