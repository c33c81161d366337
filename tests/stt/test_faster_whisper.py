import asyncio
import threading

import numpy as np
import pytest
from flite_voice import room, say
from tiny_whisper import make_model

from cvi.audio.block import HEARD_HZ, AudioBlock
from cvi.audio.level import SpeechEdges
from cvi.errors import EngineError, MissingError, UsageError
from cvi.stt import whisper_window
from cvi.stt.base import SttSettings
from cvi.stt.faster_whisper import build
from cvi.testing.contracts.stt import check_stt


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(autouse=True)
def full_window(monkeypatch):
    """The made model counts loudness per frame of 30 s, so that only the full window tells it anything."""
    full = whisper_window.FULL_FRAMES
    monkeypatch.setattr(whisper_window, "_WINDOWS", ((full, full),))


@pytest.fixture
def engine(model):
    engine = build(SttSettings(model=str(model), device="cpu"))
    yield engine
    engine.close()


@pytest.fixture
def decodes(engine, monkeypatch):
    """The lengths, in seconds, of the windows that are decoded."""
    lengths = []
    transcribe = engine.transcribe

    def counted(pcm):
        lengths.append(len(pcm) / HEARD_HZ)
        return transcribe(pcm)

    monkeypatch.setattr(engine, "transcribe", counted)
    return lengths


async def test_contract(engine, tmp_path):
    text = await check_stt(engine, say(tmp_path, "could you repeat that please"))
    assert text.startswith("one two")


async def test_final_in_a_pause_decodes_once(engine, decodes, tmp_path):
    turn = engine.open()
    turn.feed(np.concatenate([room(0.3), say(tmp_path, "my order has not arrived"), room(0.3)]))
    text = await turn.final()
    turn.feed(room(0.5))
    assert await turn.final() == text
    assert len(decodes) == 1
    turn.feed(say(tmp_path, "and I want to know where it is"))
    assert len((await turn.final()).split()) > len(text.split())
    assert len(decodes) == 2
    turn.close()


async def test_the_first_silence_is_decoded_before_anybody_asks(engine, decodes, tmp_path):
    turn = engine.open()
    turn.feed(np.concatenate([room(0.3), say(tmp_path, "my order has not arrived"), room(0.12)]))
    turn.feed(room(0.02))
    while not decodes:
        await asyncio.sleep(0.01)
    turn.feed(room(0.1))
    assert await turn.final()
    assert len(decodes) == 1, "the final text was there already"
    turn.close()


async def test_partials_skip_while_one_runs_and_between(engine, decodes, tmp_path):
    spoken = say(tmp_path, "tell me a story about a dragon and a small village")
    turn = engine.open()
    turn.feed(spoken[:16_000])
    first, at_once = await asyncio.gather(turn.partial(), turn.partial())
    assert first and at_once == ""
    turn.feed(spoken[16_000:17_000])
    assert await turn.partial() == first
    assert len(decodes) == 1
    turn.feed(spoken[17_000:])
    assert len((await turn.partial()).split()) > len(first.split())
    turn.close()


async def test_no_partial_is_decoded_as_the_voice_falls_silent(engine, decodes, tmp_path):
    sound = np.concatenate([room(0.3), say(tmp_path, "my order has not arrived"), room(0.12)])
    edges = SpeechEdges(window_s=12.0)
    edges.feed(AudioBlock(sound, 0.0))
    end = round((edges.last_loud_s() + 0.03) * HEARD_HZ)
    turn = engine.open()
    turn.feed(sound[:end])
    assert await turn.partial() == ""
    assert not decodes, "the decode of all words is 20 ms away"
    turn.feed(sound[end:])
    assert await turn.final()
    assert len(decodes) == 1
    turn.close()


async def test_a_long_turn_is_frozen_at_its_pauses(engine, decodes, tmp_path):
    sentence = np.concatenate([say(tmp_path, "my order has not arrived and I want to know"), room(0.8)])
    single = await _text(engine, sentence)
    decodes.clear()
    turn = engine.open()
    for _ in range(12):
        for start in range(0, len(sentence), 1600):
            turn.feed(sentence[start : start + 1600])
            await asyncio.sleep(0.001)
    whole = await turn.final()
    assert max(decodes) < 15.0
    assert len(sentence) * 12 / HEARD_HZ > 30.0
    assert len(whole.split()) > 6 * len(single.split())
    turn.close()


async def test_a_long_turn_without_pauses_is_cut_too(engine, decodes, tmp_path):
    spoken = say(tmp_path, "my order has not arrived and I want to know where it is")
    turn = engine.open()
    turn.feed(np.tile(spoken, 14))
    await turn.final()
    assert max(decodes) < 15.0
    assert sum(decodes) == pytest.approx(14 * len(spoken) / HEARD_HZ, abs=0.2)
    turn.close()


async def test_a_closed_turn_does_not_decode(engine, decodes, tmp_path):
    hold = threading.Event()
    busy = asyncio.create_task(engine._stage.run(hold.wait))
    await asyncio.sleep(0)
    turn = engine.open()
    turn.feed(say(tmp_path, "stop"))
    asked = asyncio.create_task(turn.final())
    await asyncio.sleep(0)
    turn.close()
    hold.set()
    await busy
    assert await asked == ""
    assert decodes == []


async def test_a_failing_model_raises_an_engine_error(engine, tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(engine._decoder, "decode", fails)
    turn = engine.open()
    turn.feed(say(tmp_path, "stop"))
    with pytest.raises(EngineError, match="out of memory"):
        await turn.final()


def test_hotwords_come_before_the_text(model):
    engine = build(SttSettings(model=str(model), device="cpu", hotwords=("seven", "twelve")))
    prompt = engine._decoder._prompt
    tokenizer = engine._decoder._tokenizer
    assert prompt[0] == tokenizer.sot_prev
    assert tokenizer.encode(" seven twelve") == prompt[1 : prompt.index(tokenizer.sot_sequence[0])]
    engine.close()


def test_a_model_by_name_is_found_among_the_pulled(model, tmp_path, monkeypatch):
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    make_model(tmp_path / "models" / "whisper-base")
    engine = build(SttSettings(device="cpu"))
    assert engine.name == "faster-whisper"
    engine.close()


def test_a_missing_model_is_not_downloaded(model, tmp_path, monkeypatch):
    monkeypatch.setenv("CVI_HOME", str(tmp_path))
    with pytest.raises(MissingError, match="cvi models pull cpu"):
        build(SttSettings(device="cpu"))
    with pytest.raises(MissingError, match="cvi models pull cpu"):
        build(SttSettings(model="small", device="cpu"))
    partial = make_model(tmp_path / "partial")
    (partial / "tokenizer.json").unlink()
    with pytest.raises(MissingError, match=r"lacks tokenizer\.json"):
        build(SttSettings(model=str(partial), device="cpu"))
    (partial / "tokenizer.json").write_text((model / "tokenizer.json").read_text())
    (partial / "model.bin").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="cannot be loaded"):
        build(SttSettings(model=str(partial), device="cpu"))


def test_a_language_the_model_does_not_know(model):
    with pytest.raises(UsageError, match="'de'"):
        build(SttSettings(model=str(model), language="de", device="cpu"))


async def _text(engine, pcm):
    turn = engine.open()
    turn.feed(pcm)
    try:
        return await turn.final()
    finally:
        turn.close()
