"""A Whisper model for CTranslate2 made by hand, with 64 channels, that counts loud sound.

It has the whole form of a Whisper model, and weights that do one thing: the encoder tells for each
frame how loud it is, the decoder attends to all frames alike, and says its words in order until their
number has reached the loudness heard. More speech, more words; silence, none. English only, because
CTranslate2 takes a vocabulary under 51,865 entries for that.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()

_WIDTH, _MELS, _FRAMES, _POSITIONS = 64, 80, 1500, 448
_METER, _ANCHOR_UP, _ANCHOR_DOWN = 40, 41, 42
_WORDS_PER_LOUDNESS = 12.0
_STEP = 0.04


def make_model(folder: Path) -> Path:
    """Write model.bin, config.json, vocabulary.json and tokenizer.json; returns the folder."""
    from ctranslate2.specs import WhisperSpec

    tokens = [*WORDS, "<unk>", "<|endoftext|>", "<|startoftranscript|>", "<|translate|>", "<|transcribe|>"]
    tokens += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    tokens += [f"<|{i * 0.02:.2f}|>" for i in range(_FRAMES + 1)]
    spec = WhisperSpec(1, 1, 1, 1)
    _encoder(spec.encoder)
    _decoder(spec.decoder, len(tokens), tokens.index("<|endoftext|>"))
    spec.register_vocabulary(tokens)
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.config.lang_ids = []
    spec.validate()
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    _tokenizer(tokens, folder / "tokenizer.json")
    return folder


def _encoder(encoder) -> None:
    encoder.conv1.weight = _zeros(_WIDTH, _MELS, 3)
    # Voices are louder in the low bands than in the high; noise and padding are alike in both.
    encoder.conv1.weight[0, :30, 1] = 8.0 / 30
    encoder.conv1.weight[0, 50:, 1] = -8.0 / 30
    encoder.conv1.bias = _zeros(_WIDTH)
    encoder.conv1.bias[0] = -3.0
    encoder.conv2.weight = _zeros(_WIDTH, _WIDTH, 3)
    encoder.conv2.weight[0, 0, 1] = 1.0
    encoder.conv2.bias = _zeros(_WIDTH)
    encoder.position_encodings.encodings = _zeros(_FRAMES, _WIDTH)
    encoder.position_encodings.encodings[:, _ANCHOR_UP] = 16.0
    encoder.position_encodings.encodings[:, _ANCHOR_DOWN] = -16.0
    _norm(encoder.layer_norm)
    for layer in encoder.layer:
        _attention(layer.self_attention, [3 * _WIDTH, _WIDTH])
        _feed_forward(layer.ffn)


def _decoder(decoder, vocabulary: int, end: int) -> None:
    decoder.embeddings.weight = _zeros(vocabulary, _WIDTH)
    positions = _zeros(_POSITIONS, _WIDTH)
    positions[:, _ANCHOR_UP], positions[:, _ANCHOR_DOWN] = 16.0, -16.0
    for t in range(_POSITIONS):
        positions[t, t % len(WORDS)] = 1.0
        positions[t, _METER] = _STEP * t
    decoder.position_encodings.encodings = positions
    _norm(decoder.layer_norm)
    decoder.projection.weight = _zeros(vocabulary, _WIDTH)
    decoder.projection.bias = _zeros(vocabulary)
    for t in range(len(WORDS)):
        # The first word is asked for at position 1, after the two tokens of the prompt.
        decoder.projection.weight[(t - 1) % len(WORDS), t] = 40.0
    decoder.projection.weight[end, _METER] = 400.0
    decoder.projection.bias[len(WORDS) :] = -100.0
    decoder.projection.bias[end] = 8.0
    for layer in decoder.layer:
        _attention(layer.self_attention, [3 * _WIDTH, _WIDTH])
        _attention(layer.attention, [_WIDTH, 2 * _WIDTH, _WIDTH])
        layer.attention.linear[1].weight[_WIDTH, 0] = 1.0
        layer.attention.linear[2].weight[_METER, 0] = -_STEP * _WORDS_PER_LOUDNESS * 10
        _feed_forward(layer.ffn)


def _attention(attention, widths: list[int]) -> None:
    _norm(attention.layer_norm)
    for linear, width in zip(attention.linear, widths, strict=True):
        linear.weight, linear.bias = _zeros(width, _WIDTH), _zeros(width)


def _feed_forward(ffn) -> None:
    _norm(ffn.layer_norm)
    ffn.linear_0.weight, ffn.linear_0.bias = _zeros(_WIDTH, _WIDTH), _zeros(_WIDTH)
    ffn.linear_1.weight, ffn.linear_1.bias = _zeros(_WIDTH, _WIDTH), _zeros(_WIDTH)


def _norm(norm) -> None:
    norm.gamma, norm.beta = np.ones(_WIDTH, np.float32), _zeros(_WIDTH)


def _zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def _tokenizer(tokens: list[str], path: Path) -> None:
    special = [
        {"id": i, "content": token, "special": True, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False}
        for i, token in enumerate(tokens)
        if token.startswith("<")
    ]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    path.write_text(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": special,
                "pre_tokenizer": {"type": "Whitespace"},
                "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
            }
        )
    )
