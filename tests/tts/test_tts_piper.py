"""Piper on a real, tiny ONNX voice with the inputs and outputs of the large ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("piper")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from cvi.audio.block import PLAYED_HZ  # noqa: E402
from cvi.errors import EngineError, MissingError  # noqa: E402
from cvi.testing.contracts.tts import check_tts  # noqa: E402
from cvi.tts.base import SEAM_S, PhraseVoice, TtsSettings  # noqa: E402
from cvi.tts.local_voice import LOUDNESS_DB, amplified, gain_to  # noqa: E402
from cvi.tts.piper import build  # noqa: E402

RATE = 22_050
HOP = 256
FRAMES_A_SYMBOL = 6


def make_voice(folder: Path, with_durations: bool = True) -> Path:
    """A voice that hums: each symbol lasts `FRAMES_A_SYMBOL` hops times the length scale; pads are silent.

    Its sound is made within the model, so that the durations it tells are those of its sound.
    """
    from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

    constants = {
        "frames": np.array([FRAMES_A_SYMBOL], dtype=np.float32),
        "index": np.array([1], dtype=np.int64),
        "hum": (0.5 * np.sin(2 * np.pi * 0.02 * np.arange(HOP))).astype(np.float32).reshape(1, 1, HOP),
        "first": np.array([0], dtype=np.int64),
        "flat": np.array([-1], dtype=np.int64),
        "shape": np.array([1, 1, 1, -1], dtype=np.int64),
        "pad_limit": np.array([2.5], dtype=np.float32),
    }
    ceil = ["Ceil"] if with_durations else ["Round"]
    nodes = [
        helper.make_node("Gather", ["scales", "index"], ["length_scale"]),
        helper.make_node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["length_scale", "frames"], ["each"]),
        helper.make_node("Shape", ["ids"], ["ids_shape"]),
        helper.make_node("Expand", ["each", "ids_shape"], ["spread"]),
        helper.make_node(ceil[0], ["spread"], ["w_ceil"]),
        # How many frames in all, and for each frame the symbol it belongs to.
        helper.make_node("ReduceSum", ["w_ceil"], ["total"], keepdims=0),
        helper.make_node("Gather", ["w_ceil", "first"], ["row"], axis=0),
        helper.make_node("Reshape", ["row", "flat"], ["widths"]),
        helper.make_node("Gather", ["widths", "first"], ["width"]),
        helper.make_node("Cast", ["total"], ["total_i"], to=TensorProto.INT64),
        helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("z", TensorProto.INT64, [], [0])),
        helper.make_node("Constant", [], ["step"], value=helper.make_tensor("s", TensorProto.INT64, [], [1])),
        helper.make_node("Range", ["zero", "total_i", "step"], ["frame"]),
        helper.make_node("Cast", ["frame"], ["frame_f"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["frame_f", "width"], ["place"]),
        helper.make_node("Floor", ["place"], ["place_floor"]),
        helper.make_node("Cast", ["place_floor"], ["symbol"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["ids", "flat"], ["ids_flat"]),
        helper.make_node("Gather", ["ids_flat", "symbol"], ["frame_id"]),
        # Symbols 0, 1 and 2 are pad, begin and end.
        helper.make_node("Greater", ["frame_id", "pad_limit"], ["sounding"]),
        helper.make_node("Cast", ["sounding"], ["gain"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["gain", "gain_axes"], ["gain_column"]),
        helper.make_node("Mul", ["gain_column", "hum"], ["hummed"]),
        helper.make_node("Reshape", ["hummed", "shape"], ["output"]),
    ]
    constants["gain_axes"] = np.array([0, 2], dtype=np.int64)
    graph = helper.make_graph(
        nodes,
        "hum",
        [
            helper.make_tensor_value_info("input", TensorProto.INT64, [1, None]),
            helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
            helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
        ],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    path = folder / "hum.onnx"
    onnx.save(model, str(path))
    config = {
        "num_symbols": 256,
        "num_speakers": 1,
        "audio": {"sample_rate": RATE},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "hop_length": HOP,
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
    }
    Path(f"{path}.json").write_text(json.dumps(config), "utf-8")
    return path


async def spoken(path: Path, text: str, **settings: object) -> list:
    voice = build(TtsSettings(model=str(path), **settings))  # type: ignore[arg-type]
    pieces = [piece async for piece in voice.speak(text)]
    voice.close()
    return pieces


@pytest.mark.parametrize("with_durations", [True, False])
async def test_contract(tmp_path: Path, with_durations: bool) -> None:
    voice = build(TtsSettings(model=str(make_voice(tmp_path, with_durations))))
    pieces = await check_tts(voice)
    assert all(bool(piece.phones) == with_durations for piece in pieces)
    assert len(pieces) == 2, "one piece a sentence"
    voice.close()


async def test_phones_have_the_voice_s_own_durations(tmp_path: Path) -> None:
    (piece,) = await spoken(make_voice(tmp_path), "my shy boy")
    assert [phone.ipa for phone in piece.phones if phone.ipa] == ["m", "aɪ", "ʃ", "aɪ", "b", "ɔɪ"]
    # A symbol and the pad after it last twelve hops; a stressed diphthong is two symbols and a mark.
    unit = 2 * FRAMES_A_SYMBOL * HOP / RATE
    first = next(phone for phone in piece.phones if phone.ipa == "m")
    assert first.end_s - first.start_s == pytest.approx(unit, abs=1e-3)
    diphthong = next(phone for phone in piece.phones if phone.ipa == "aɪ" and phone.stress)
    assert diphthong.end_s - diphthong.start_s == pytest.approx(3 * unit, abs=1e-3)


async def test_words_have_the_voices_own_onsets(tmp_path: Path) -> None:
    text = "My 2 boys."
    (piece,) = await spoken(make_voice(tmp_path), text)
    assert [text[word.text_start : word.text_end] for word in piece.words] == ["My", "2", "boys"]
    for word, ipa in zip(piece.words, ["m", "t", "b"], strict=True):
        begun = min(
            (phone for phone in piece.phones if phone.ipa == ipa), key=lambda p: abs(p.start_s - word.start_s)
        )
        assert begun.start_s == pytest.approx(word.start_s, abs=1e-3)


async def test_a_clause_in_parts_is_as_long_as_the_whole_and_keeps_its_words(tmp_path: Path) -> None:
    voice = build(TtsSettings(model=str(make_voice(tmp_path))))
    assert isinstance(voice, PhraseVoice)
    (whole,) = [piece async for piece in voice.speak("my shy boys buy two toys")]
    (first,) = [piece async for piece in voice.speak_part("my shy boys", after="buy")]
    (rest,) = [piece async for piece in voice.speak_part("buy two toys", before="my shy boys")]
    assert first.duration_s + rest.duration_s - SEAM_S == pytest.approx(whole.duration_s, abs=0.03)
    for piece, text in ((first, "my shy boys"), (rest, "buy two toys")):
        assert [text[word.text_start : word.text_end] for word in piece.words] == text.split()
    joined = [phone.ipa for piece in (first, rest) for phone in piece.phones if phone.ipa]
    assert joined == [phone.ipa for phone in whole.phones if phone.ipa]
    # Both fade at the seam.
    edge = round(0.001 * PLAYED_HZ)
    assert np.abs(first.pcm[-edge:]).max() < 0.2 * np.abs(first.pcm).max()
    assert np.abs(rest.pcm[:edge]).max() < 0.2 * np.abs(rest.pcm).max()
    voice.close()


async def test_words_that_the_voice_joins_are_not_cut_apart(tmp_path: Path) -> None:
    voice = build(TtsSettings(model=str(make_voice(tmp_path))))
    (rest,) = [piece async for piece in voice.speak_part("the year", before="one of")]
    assert ["the year"[word.text_start : word.text_end] for word in rest.words] == ["the", "year"]
    (alone,) = [piece async for piece in voice.speak("the year")]
    assert rest.duration_s == pytest.approx(alone.duration_s, abs=0.02)
    assert not [piece async for piece in voice.speak_part("...", before="one of")]
    voice.close()


async def test_voices_have_one_loudness(tmp_path: Path) -> None:
    voice = build(TtsSettings(model=str(make_voice(tmp_path))))
    await voice.warm()
    (piece,) = [piece async for piece in voice.speak("How do you do")]
    assert 20 * np.log10(gain_to(LOUDNESS_DB, piece.pcm)) == pytest.approx(0.0, abs=0.5)
    voice.close()


def test_a_gain_bends_peaks_instead_of_clipping_them() -> None:
    tone = (20_000 * np.sin(np.arange(4800) * 0.05)).astype(np.int16)
    louder = amplified(tone, 2.0)
    assert 26_000 < louder.max() < 32_767
    assert np.abs(np.diff(louder.astype(int))).max() < 3000
    assert gain_to(LOUDNESS_DB, np.zeros(4800, np.int16)) == 1.0


async def test_speed(tmp_path: Path) -> None:
    path = make_voice(tmp_path)
    (plain,) = await spoken(path, "How do you do")
    (fast,) = await spoken(path, "How do you do", speed=1.5)
    assert fast.duration_s == pytest.approx(plain.duration_s / 1.5, rel=0.1)


async def test_a_pulled_voice_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    with pytest.raises(MissingError, match="cvi models pull"):
        build(TtsSettings())
    folder = tmp_path / "models" / "piper-hum"
    folder.mkdir(parents=True)
    make_voice(folder)
    assert build(TtsSettings()).voices() == ["piper-hum"]
    assert build(TtsSettings(voice="piper-hum")).voices() == ["piper-hum"]
    with pytest.raises(MissingError, match="piper-hum"):
        build(TtsSettings(voice="other"))


def test_a_voice_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(MissingError, match=r"broken\.onnx\.json"):
        build(TtsSettings(model=str(path)))
    Path(f"{path}.json").write_text("{", "utf-8")
    with pytest.raises(EngineError, match=r"broken\.onnx"):
        build(TtsSettings(model=str(path)))
