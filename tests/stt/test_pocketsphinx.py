import asyncio

import numpy as np
import pytest
from flite_voice import room, say

from cvi.audio.block import HEARD_HZ
from cvi.errors import EngineError, MissingError, UsageError
from cvi.stt import sphinx_decoder
from cvi.stt.base import SttSettings
from cvi.stt.pocketsphinx import _words, build
from cvi.testing.contracts.stt import check_stt


@pytest.fixture(scope="module")
def engine():
    engine = build(SttSettings())
    yield engine
    engine.close()


async def test_contract(engine, tmp_path):
    text = await check_stt(engine, say(tmp_path, "could you repeat that please"))
    assert "repeat that please" in text


async def test_a_second_final_covers_the_whole_turn(engine, tmp_path):
    turn = engine.open()
    turn.feed(np.concatenate([room(0.3), say(tmp_path, "seven of clubs", "rms"), room(0.1)]))
    first = await turn.final()
    turn.feed(room(0.7))
    assert await turn.final() == first
    turn.feed(np.concatenate([say(tmp_path, "thank you very much", "rms"), room(0.1)]))
    both = await turn.final()
    assert both.startswith(f"{first} ") and both.endswith(" very much")
    turn.close()


async def test_partial_grows_while_it_listens(engine, tmp_path):
    spoken = say(tmp_path, "my name is john and i live in new york")
    turn = engine.open()
    turn.feed(spoken[: len(spoken) // 2])
    while not (half := await turn.partial()):
        await asyncio.sleep(0.001)
    turn.feed(spoken[len(spoken) // 2 :])
    whole = await turn.final()
    assert len(whole.split()) > len(half.split())
    assert await turn.partial() == whole
    turn.close()


async def test_two_open_turns_do_not_mix(engine, tmp_path):
    one, other = engine.open(), engine.open()
    one.feed(say(tmp_path, "yes please"))
    other.feed(say(tmp_path, "tell me a story about a dragon"))
    texts = await asyncio.gather(one.final(), other.final())
    assert texts[0] == "yes please"
    assert "about a dragon" in texts[1] and "yes" not in texts[1]
    one.feed(say(tmp_path, "thank you"))
    assert (await one.final()).startswith("yes please")
    one.close()
    other.close()


async def test_a_long_pause_is_not_decoded(engine, tmp_path):
    """A caller who says nothing for a minute costs nothing and adds no words."""
    turn = engine.open()
    turn.feed(np.concatenate([say(tmp_path, "thank you very much"), room(10.0)]))
    assert await turn.final() == "thank you very much"
    assert not engine._decoder.listening
    turn.close()


async def test_closed_engine_opens_no_turn():
    engine = build(SttSettings())
    turn = engine.open()
    turn.feed(room(0.5))
    engine.close()
    turn.close()
    with pytest.raises(EngineError):
        engine.open()


def test_other_languages_are_refused():
    with pytest.raises(UsageError, match="English only, not 'de'"):
        build(SttSettings(language="de"))
    build(SttSettings(language="en-GB")).close()


def test_missing_package(monkeypatch):
    monkeypatch.setattr(sphinx_decoder, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match="pip install"):
        build(SttSettings())


def test_decoder_refuses_other_sound():
    decoder = sphinx_decoder.SphinxDecoder()
    decoder.start()
    with pytest.raises(ValueError, match="float32"):
        decoder.process(np.zeros(HEARD_HZ, np.float32))


def test_markers_and_variants_are_no_words():
    assert _words("<s> I'LL read(2) <sil> [NOISE] it ++UM++ (3)</s>") == "i'll read it"
