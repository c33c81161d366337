"""Train the mouth that is driven by sound alone: cvi/face/sound_mouth.npz.

    python scripts/train_sound_mouth.py [--epochs 30] [--check]

Sentences are spoken by flite and espeak-ng, which tell the times of their sounds, at several paces and
pitches; each sound is also played slower and faster, which makes longer and shorter vocal tracts, coloured
and dirtied with noise. What the network must give is the mouth that the phone times give
(`cvi.face.driver`). One flite voice and one language are held out; the figures printed are theirs.
With --check nothing is trained or written: the shipped network is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cvi.audio.block import PLAYED_HZ, Pcm, to_int16
from cvi.audio.resample import resample
from cvi.engine_registry import build
from cvi.face.driver import MouthDriver
from cvi.face.sound_mouth import (
    HOP,
    HOP_S,
    SHAPES,
    WEIGHTS,
    WINDOW,
    Floats,
    MouthNetwork,
    MouthReader,
    SoundMouth,
    band_levels_db,
    inputs,
    loudness_db,
    shipped_network,
)
from cvi.files import write_bytes
from cvi.tts.base import Phone, Speech, TtsSettings

HIDDEN = 96
TEXTS = Path(__file__).with_name("sound_mouth_texts.tsv")
# (engine, voice, language, speed, pitch)
VOICES = [
    ("flite", "slt", "en", 1.0, 1.0), ("flite", "rms", "en", 1.0, 1.0), ("flite", "kal16", "en", 1.1, 1.0),
    ("flite", "slt", "en", 0.85, 1.1), ("flite", "rms", "en", 1.2, 0.9), ("flite", "slt", "en", 1.2, 0.9),
    ("espeak", "en-us+f2", "en", 1.0, 1.0), ("espeak", "en-gb+m3", "en", 1.1, 1.0),
    ("espeak", "de+m2", "de", 1.0, 1.0), ("espeak", "fr-fr+f3", "fr", 1.0, 1.0),
    ("espeak", "es+m1", "es", 1.0, 1.0),
]  # fmt: skip
HELD_OUT = [("flite", "awb", "en", 1.0, 1.0), ("espeak", "it+f4", "it", 1.0, 1.0)]
# Played at these rates: vocal tracts 12 % longer and shorter.
TRACTS = (0.88, 1.0, 1.13)
# Contacts are rare and must not be missed.
CHANNEL_WEIGHTS = np.array([2.0, 1.0, 1.0, 0.7, 2.0, 1.2], np.float32)
CLOSURE_WITHIN_S = 0.040

Voice = tuple[str, str, str, float, float]


@dataclass(frozen=True, slots=True)
class Example:
    """`x` (n, d) inputs, `y` (n, 6) the mouth that the phones give."""

    x: Floats
    y: Floats


def texts(language: str) -> list[str]:
    rows = [line.split("\t") for line in TEXTS.read_text(encoding="utf-8").splitlines() if "\t" in line]
    return [text for code, text in rows if code == language]


async def spoken(voice: Voice) -> list[Speech]:
    engine, name, language, speed, pitch = voice
    tts = build("tts", engine, TtsSettings(language=language, voice=name, speed=speed, pitch=pitch))
    pieces: list[Speech] = []
    try:
        for text in texts(language):
            pieces += [piece async for piece in tts.speak(text)]
    finally:
        tts.close()
    return pieces


def stretched(speech: Speech, factor: float) -> tuple[Pcm, list[Phone]]:
    """The sound played at `factor` of its rate, and where its phones are then."""
    if factor == 1.0:
        return speech.pcm, list(speech.phones)
    pcm = resample(speech.pcm, round(PLAYED_HZ * factor), PLAYED_HZ)
    return pcm, [Phone(p.ipa, p.start_s / factor, p.end_s / factor, p.stress) for p in speech.phones]


def wanted(pcm: Pcm, phones: list[Phone]) -> tuple[MouthDriver, Floats]:
    """The driver fed with phones, and its mouth at each frame: (n, 6)."""
    driver = MouthDriver()
    driver.append(phones, pcm, 0.0)
    count = (len(pcm) + WINDOW // 2 - WINDOW) // HOP + 1
    rows = []
    for index in range(count):
        shape = driver.mouth_at(index * HOP_S)
        rows.append((shape.jaw, shape.wide, shape.round, shape.tongue, shape.press / 0.92, shape.tuck))
    return driver, np.array(rows, np.float32)


def dirtied(pcm: Pcm, rng: np.random.Generator) -> Pcm:
    """Another level, another microphone, another room's noise."""
    sound = pcm.astype(np.float32) / 32768 * 10 ** (rng.uniform(-14, 4) / 20)
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / PLAYED_HZ), 50) / 1000)
    tilt_db = rng.uniform(-3.5, 3.5) * octaves + rng.uniform(-4, 4) * np.sin(octaves + rng.uniform(0, 6))
    sound = np.fft.irfft(spectrum * 10 ** (tilt_db / 20), len(sound)).astype(np.float32)
    noise = rng.normal(0, 1, len(sound)).astype(np.float32) * np.sqrt(np.mean(sound**2))
    return to_int16(sound + noise * 10 ** (rng.uniform(-55, -22) / 20))


def examples(pieces: list[Speech], rng: np.random.Generator) -> Iterator[Example]:
    for piece in pieces:
        for factor in TRACTS:
            pcm, phones = stretched(piece, factor)
            _, y = wanted(pcm, phones)
            levels = band_levels_db(np.concatenate((np.zeros(WINDOW // 2, np.int16), dirtied(pcm, rng))))
            loud = loudness_db(levels)
            reference = float(np.percentile(loud, 90)) + rng.uniform(-2, 2)
            yield Example(inputs(levels, reference), y[: len(levels)])


def train(x: Floats, y: Floats, epochs: int, rng: np.random.Generator) -> MouthNetwork:
    """Adam (Kingma & Ba 2015) on the weighted squared error, the rate falling with a cosine."""
    sizes = ((x.shape[1], HIDDEN), (HIDDEN,), (HIDDEN, len(SHAPES)), (len(SHAPES),))
    mean = y.mean(0)
    weights = [
        rng.normal(0, 1 / np.sqrt(sizes[0][0]), sizes[0]).astype(np.float32), np.zeros(HIDDEN, np.float32),
        rng.normal(0, 1 / np.sqrt(HIDDEN), sizes[2]).astype(np.float32),
        np.log(mean / (1 - mean)).astype(np.float32),
    ]  # fmt: skip
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]
    batch, step = 512, 0
    steps = epochs * (len(x) // batch)
    # Frames in contact are a twentieth of all; they count threefold.
    urgency = 1.0 + 2.0 * np.maximum(y[:, 4], y[:, 5])[:, None]
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        loss = 0.0
        for at in range(0, len(x) - batch + 1, batch):
            pick = order[at : at + batch]
            a, wanted_y = x[pick], y[pick]
            inner = np.tanh(a @ weights[0] + weights[1])
            out = 1 / (1 + np.exp(-(inner @ weights[2] + weights[3])))
            error = (out - wanted_y) * CHANNEL_WEIGHTS * urgency[pick]
            loss += float((error * (out - wanted_y)).mean())
            back_out = error * out * (1 - out) / batch
            back_in = (back_out @ weights[2].T) * (1 - inner * inner)
            step += 1
            rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * step / steps)) + 2e-5
            found = (a.T @ back_in, back_in.sum(0), inner.T @ back_out, back_out.sum(0))
            for k, gradient in enumerate(found):
                first[k] = 0.9 * first[k] + 0.1 * gradient
                second[k] = 0.999 * second[k] + 0.001 * gradient**2
                slope = (first[k] / (1 - 0.9**step)) / (np.sqrt(second[k] / (1 - 0.999**step)) + 1e-8)
                weights[k] -= (rate * slope).astype(np.float32)
        if epoch % 5 == 4 or epoch == epochs - 1:
            print(f"epoch {epoch + 1}: loss {loss / (len(x) // batch):.5f}", flush=True)
    return MouthNetwork(*(w.astype(np.float32) for w in weights))


def measure(network: MouthReader, pieces: list[Speech]) -> str:
    """Correlations with the phones' mouth, and how many contacts of the phones are reached in time."""
    mine: list[tuple[float, ...]] = []
    theirs: list[npt.NDArray[np.float32]] = []
    closed = closures = bitten = bites = false = open_vowels = 0
    for piece in pieces:
        heard = SoundMouth(network)
        heard.append(piece.pcm, 0.0)
        _, y = wanted(piece.pcm, list(piece.phones))
        theirs += list(y)
        mine += [heard.at(index * HOP_S) for index in range(len(y))]
        for phone in piece.phones:
            span = np.arange(phone.start_s - CLOSURE_WITHIN_S, phone.end_s + CLOSURE_WITHIN_S, 0.005)
            shapes = [heard.at(float(t)) for t in span]
            if phone.ipa[:1] in ("p", "b", "m"):
                closures += 1
                closed += max(shape[4] for shape in shapes) > 0.6
            elif phone.ipa[:1] in ("f", "v"):
                bites += 1
                bitten += max(shape[5] for shape in shapes) > 0.5
            elif phone.ipa[:1] in ("ɑ", "æ", "a") and phone.end_s - phone.start_s > 0.06:
                open_vowels += 1
                false += heard.at((phone.start_s + phone.end_s) / 2)[4] > 0.6
    a, b = np.array(mine), np.array(theirs)
    parts = [f"{name} {np.corrcoef(a[:, k], b[:, k])[0, 1]:.3f}" for k, name in enumerate(SHAPES)]
    spread = a[:, 0].std() / b[:, 0].std()
    return (
        f"correlations: {', '.join(parts)}; range of the jaw {spread:.2f} of the phones'; "
        f"P B M closed {closed}/{closures}, F V {bitten}/{bites}; open vowels shut {false}/{open_vowels}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--check", action="store_true", help="measure the shipped network")
    given = parser.parse_args()
    rng = np.random.default_rng(1)
    network = shipped_network() if given.check else None
    if network is None:
        rows = [row for voice in VOICES for row in examples(asyncio.run(spoken(voice)), rng)]
        x, y = np.concatenate([row.x for row in rows]), np.concatenate([row.y for row in rows])
        print(f"{len(x) * HOP_S:.0f} s of speech, {x.shape[1]} inputs", flush=True)
        network = train(x, y, given.epochs, rng)
        arrays = {name: getattr(network, name).astype(np.float16) for name in network.__slots__}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_bytes(WEIGHTS, buffer.getvalue())
        print(f"{WEIGHTS}: {len(buffer.getvalue()) / 1000:.0f} kB")
    for voice in HELD_OUT:
        print(f"{voice[0]}/{voice[1]}, not trained on: {measure(network, asyncio.run(spoken(voice)))}")


if __name__ == "__main__":
    main()
