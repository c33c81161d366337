"""Train the mouth that is read through a speech encoder: cvi/face/speech_mouth.npz.

    python scripts/train_speech_mouth.py [--ridge 3.0] [--check]

The same sentences, voices and targets as `train_sound_mouth.py`; what is learned is a linear map of the
encoder's features (ridge regression). Needs the encoder: cvi models pull smart-turn-v3, or --encoder FILE.
One flite voice and one language are held out; the figures printed are theirs, beside those of the network
that reads plain bands. With --check nothing is trained or written: the shipped map is measured.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from train_sound_mouth import HELD_OUT, VOICES, dirtied, measure, spoken, stretched

from cvi.audio.block import PLAYED_HZ
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import shipped_network
from cvi.face.speech_mouth import (
    RATE_HZ,
    WEIGHTS,
    Floats,
    SpeechEncoder,
    SpeechMap,
    SpeechMouth,
    in_context,
    map_bytes,
    shipped_map,
)
from cvi.files import write_bytes
from cvi.models.installed import model_path
from cvi.tts.base import Speech

TRACTS = (0.9, 1.0, 1.12)
GAP = PLAYED_HZ // 2


def examples(
    pieces: list[Speech], encoder: SpeechEncoder, rng: np.random.Generator
) -> Iterator[tuple[Floats, Floats]]:
    """Features in context and the mouth that the phones give, of all pieces joined with pauses between."""
    for factor in TRACTS:
        parts, rows, at = [], [], 0
        for piece in pieces:
            pcm, phones = stretched(piece, factor)
            driver = MouthDriver()
            driver.append(phones, pcm, 0.0)
            middles = (np.arange(len(pcm) * RATE_HZ // PLAYED_HZ) + 0.5) / RATE_HZ
            shapes = [driver.mouth_at(float(t_s)) for t_s in middles]
            y = [(s.jaw, s.wide, s.round, s.tongue, s.press / 0.92, s.tuck) for s in shapes]
            rows.append((middles + at / PLAYED_HZ, np.array(y, np.float32)))
            parts += [pcm, np.zeros(GAP, np.int16)]
            at += len(pcm) + GAP
        features = encoder.features(dirtied(np.concatenate(parts), rng))
        for times_s, y in rows:
            yield in_context(features, times_s), y


def train(encoder: SpeechEncoder, ridge: float) -> SpeechMap:
    rng = np.random.default_rng(1)
    count, total, totals, squares = 0, 0.0, 0.0, 0.0
    gram = cross = np.zeros(())
    for voice in VOICES:
        # Sums alone are kept: all the features would be gigabytes.
        pairs = list(examples(asyncio.run(spoken(voice)), encoder, rng))
        x, y = (np.concatenate(part) for part in zip(*pairs, strict=True))
        count += len(x)
        total, totals = total + x.sum(0, dtype=np.float64), totals + y.sum(0, dtype=np.float64)
        squares = squares + np.square(y).sum(0, dtype=np.float64)
        gram, cross = gram + (x.T @ x).astype(np.float64), cross + (x.T @ y).astype(np.float64)
        print(f"{'/'.join(map(str, voice))}: {count / RATE_HZ:.0f} s so far", flush=True)
    mean, middle = total / count, totals / count
    gram, cross = gram / count - np.outer(mean, mean), cross / count - np.outer(mean, middle)
    spread = np.sqrt(np.maximum(np.diag(gram), 0)) + 1e-3
    held = gram / np.outer(spread, spread) + ridge * np.eye(len(mean))
    solved = np.linalg.solve(held, cross / spread[:, None])
    weights = solved / spread[:, None]
    # What is regressed moves less than what it foretells: stretched to move as much.
    moves = np.sqrt(np.einsum("dk,de,ek->k", weights, gram, weights))
    weights *= np.sqrt(squares / count - middle**2) / moves
    return SpeechMap(weights.astype(np.float32), (middle - mean @ weights).astype(np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ridge", type=float, default=3.0)
    parser.add_argument("--encoder", type=Path, help="smart-turn-v3.2-cpu.onnx, where it is not installed")
    parser.add_argument("--check", action="store_true", help="measure the shipped map")
    given = parser.parse_args()
    encoder = SpeechEncoder(given.encoder or model_path("smart-turn-v3"))
    mapping = shipped_map() if given.check else train(encoder, given.ridge)
    if not given.check:
        write_bytes(WEIGHTS, map_bytes(mapping))
        print(f"{WEIGHTS}: {WEIGHTS.stat().st_size / 1000:.0f} kB")
    for voice in HELD_OUT:
        pieces = asyncio.run(spoken(voice))
        name = "/".join(voice[:2])
        through = measure(SpeechMouth(encoder, mapping), pieces)
        print(f"{name}, not trained on, through the encoder: {through}")
        print(f"{name}, not trained on, by plain bands: {measure(shipped_network(), pieces)}")


if __name__ == "__main__":
    main()
