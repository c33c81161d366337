"""Engines that understand pictures: the endpoint's, llama.cpp's with random weights, and none that works."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import ContextProvided, PerceptionUnavailable, ReplyFirstAudio
from cvi.engine_registry import build
from cvi.errors import CviError, EngineError, MissingError, UsageError
from cvi.llm.llama_cpp import shipped_model
from cvi.perception.from_persona import build_participant
from cvi.perception.participant import Participant
from cvi.perception.vision import VisionSettings, jpeg
from cvi.persona.schema import Persona
from cvi.testing.contracts.perception import check_vision
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script
from tests.llm.test_openai_llm import Endpoint
from tests.perception.test_perceiving_participant import PLAIN, settings
from tests.perception.tiny_encoder import write_encoder

PICTURE = jpeg(np.full((48, 64, 3), 90, np.uint8))
MODEL_WIDTH = 576
"""Of SmolLM2-135M's embeddings: it reads the pictures of a random encoder in these tests."""


def answering(text: object) -> Endpoint:
    return Endpoint(json.dumps({"choices": [{"message": {"content": text}}]}).encode())


async def test_an_endpoint_keeps_the_promises_and_is_given_pictures_and_rules() -> None:
    async with answering(" A red cup. ").open() as server:
        await check_vision(build("perception", "openai", VisionSettings("eyes", server.url)))
    (_, _, body) = server.requests[1]
    assert body["model"] == "eyes" and "Say nothing of identity" in body["messages"][0]["content"]
    kinds = [part["type"] for part in body["messages"][1]["content"]]
    assert kinds == ["image_url", "image_url", "text"]


async def test_an_endpoint_that_answers_something_else_is_a_fault() -> None:
    async with Endpoint(b'{"choices": []}').open() as server:
        engine = build("perception", "openai", VisionSettings("eyes", server.url))
        with pytest.raises(EngineError, match="chat completion"):
            await engine.ask([PICTURE], "What?")
        await engine.close()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """SmolLM2-135M with a random picture encoder beside it."""
    try:
        import llama_cpp.mtmd_cpp  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        pytest.skip("llama-cpp-python was built without its picture models")
    path = tmp_path / "model.gguf"
    path.symlink_to(shipped_model())
    write_encoder(tmp_path / "mmproj-tiny.gguf", MODEL_WIDTH)
    return path


async def test_llama_cpp_keeps_the_promises(weights: Path) -> None:
    await check_vision(build("perception", "llama-cpp", VisionSettings(str(weights))))


async def test_llama_cpp_answers_by_the_picture(weights: Path) -> None:
    """Random features tell nothing, but the same ones always the same, and others something else."""
    engine = build("perception", "llama-cpp", VisionSettings(str(weights)))
    noise = jpeg(np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8))
    grey = jpeg(np.full((480, 640, 3), 200, np.uint8))
    first, other, again = [
        await engine.ask([each], "What is in the picture?") for each in (grey, noise, grey)
    ]
    assert first and first == again != other
    marked = await engine.ask([grey], "What is <|im_end|> in <__media__> the picture?")
    assert marked
    with pytest.raises(EngineError, match="damaged"):
        await engine.ask([b"no jpeg"], "What?")
    await engine.close()


@pytest.mark.parametrize(("width", "kind"), [(100, "gemma3"), (MODEL_WIDTH, "idefics3")])
async def test_the_encoder_of_another_model_is_a_fault_and_no_crash(
    weights: Path, width: int, kind: str
) -> None:
    """One of another width, and one that marks pictures by tokens which the model does not have."""
    write_encoder(weights.with_name("mmproj-tiny.gguf"), width, kind)
    engine = build("perception", "llama-cpp", VisionSettings(str(weights)))
    with pytest.raises(CviError) as error:
        await engine.ask([PICTURE], "What?")
    assert "published with the model" in str(error.value.remedy)
    await engine.close()


def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(error: type[CviError], model: Path | None, words: str) -> None:
        with pytest.raises(error) as raised:
            build("perception", "llama-cpp", VisionSettings(str(model) if model else None))
        assert words in f"{raised.value} {raised.value.remedy}"

    fails(MissingError, None, "cvi models pull smolvlm-500m")
    fails(MissingError, tmp_path / "none.gguf", "There is no vision-language model")
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    fails(UsageError, model, "mmproj")
    for name in ("mmproj-a.gguf", "mmproj-b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    fails(UsageError, model, "holds 2 picture encoders")
    (tmp_path / "mmproj-b.gguf").unlink()
    monkeypatch.setitem(sys.modules, "llama_cpp.mtmd_cpp", None)
    fails(MissingError, model, "pip install")


class Eyes:
    """Sees a cup after `takes_s`, or fails from the start."""

    def __init__(self, takes_s: float = 0.0, fault: CviError | None = None) -> None:
        self.takes_s, self.fault = takes_s, fault
        self.asked: list[str] = []
        self.closed = 0

    async def warm(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def ask(self, jpegs: Sequence[bytes], question: str) -> str:
        self.asked.append(question)
        await asyncio.sleep(self.takes_s)
        return "They hold a red cup."

    async def close(self) -> None:
        self.closed += 1


def talk(eyes: Eyes, questions: Sequence[tuple[float, str]], vision: bool = True) -> tuple[FakeLlm, Script]:
    script, participant = Script(), Participant(settings(), vision=eyes if vision else None)
    picture = np.full((48, 64, 3), 120, np.uint8)
    for tenth in range(250):
        sight = replace(PLAIN, t_s=tenth / 10)
        script.app_does(tenth / 10, lambda _, sight=sight: participant.saw(sight, picture))
    for at_s, words in questions:
        script.user_says(at_s, words)
    llm = FakeLlm(["Let me see."] * len(questions))
    script.outcome = script.play(llm, capabilities=Capabilities([participant], perceiver=participant))
    return llm, script


def test_what_is_held_is_looked_at_when_somebody_asks_and_told_with_the_next_answer() -> None:
    eyes = Eyes(takes_s=1.0)
    llm, _ = talk(eyes, [(6.0, "tell me what I am holding please"), (14.0, "am I holding a cup")])
    assert len(eyes.asked) >= 2 and eyes.closed == 1
    hints = [messages[-1].content for messages in llm.asked if messages[-1].role == "system"]
    assert "They hold a red cup." in hints[-1]


def test_a_slow_look_delays_no_reply_and_one_that_fails_is_told_once() -> None:
    replied: list[list[float]] = []
    for eyes, vision in (
        (Eyes(), False),
        (Eyes(takes_s=60.0), True),
        (Eyes(fault=EngineError("Blind.")), True),
    ):
        _, script = talk(eyes, [(6.0, "what do you see"), (14.0, "look at me")], vision)
        replied.append([event.t for event in script.outcome.of(ReplyFirstAudio)])
        whys = [event.why for event in script.outcome.of(PerceptionUnavailable)]
        assert whys == (["Blind."] if eyes.fault else [])
        assert script.outcome.of(ContextProvided)
    assert len(replied[0]) == 2 and replied[0] == replied[1] == replied[2]


def test_a_persona_names_its_engine_like_any_other(weights: Path) -> None:
    def built(**perception: object) -> Participant | None:
        persona = Persona.model_validate(
            {"persona_name": "P", "system_prompt": "x", "layers": {"perception": perception}}
        )
        return build_participant(
            persona, small_model=False, private_hosts=None, model_path={"mine": str(weights)}.get
        )

    assert built(engine="llama-cpp", model="mine")._vision.name == "llama-cpp"
    assert built(base_url="http://127.0.0.1:9/v1", model="eyes")._vision.name == "openai"
    assert built()._vision is None
    with pytest.raises(UsageError, match="no perception engine named 'lama-cpp'"):
        built(engine="lama-cpp")
