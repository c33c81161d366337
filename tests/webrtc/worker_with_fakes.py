"""`cvi.server.worker` with engines that need no models; run as a script in the worker's place."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cvi.audio.block import Pcm
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.settings import ConversationSettings, SpeechEngines
from cvi.engines import EngineSet
from cvi.errors import MissingError
from cvi.face.base import Controls
from cvi.media.frames import Frame
from cvi.persona.schema import Persona
from cvi.server.worker import session_engines as session_engines
from cvi.server.worker.__main__ import main
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, Vocabulary
from cvi.threads import NativeThread


class DeafVad:
    name = "deaf"

    def probability(self, hop: Pcm) -> float:
        return 0.0

    def reset(self) -> None:
        pass


class GreyFace:
    name = "grey"
    width, height = 320, 180

    def render(self, controls: Controls) -> Frame:
        if os.environ.get("CVI_TEST_FAULT") == "render":
            raise RuntimeError("a fault of the program")
        frame = np.full((self.height * 3 // 2, self.width), 128, np.uint8)
        frame[: self.height] = 60
        return frame

    def close(self) -> None:
        pass


def resolve(persona: Persona, **_: Any) -> Any:
    return persona


def settings(persona: Any, conversation_id: str, **options: Any) -> ConversationSettings:
    greeting = options["greeting"]
    return ConversationSettings(
        conversation_id,
        f"{persona.system_prompt} {options['conversational_context']}",
        greeting=persona.greeting or "" if greeting is None else greeting,
    )


async def build_engine_set(*_: Any, with_face: bool, **__: Any) -> EngineSet:
    if os.environ.get("CVI_TEST_FAULT") == "build":
        raise MissingError("There is no such model.", "Fetch it.")
    print("a library that prints where it must not")
    layers = SpeechEngines(DeafVad(), FakeStt(Vocabulary()), FakeLlm(["It is a test."]), FakeTts())
    return EngineSet(layers, GreyFace() if with_face else None, NativeThread("face"))


async def llm(*_: Any) -> FakeLlm:
    return FakeLlm(["It is a test."])


async def capabilities(*_: Any, **__: Any) -> Capabilities:
    return Capabilities()


if __name__ == "__main__":
    session_engines.build_capabilities = capabilities  # type: ignore[assignment]
    session_engines.build_llm = llm  # type: ignore[assignment]
    session_engines.resolve = resolve  # type: ignore[assignment]
    session_engines.conversation_settings = settings  # type: ignore[assignment]
    session_engines.build_engine_set = build_engine_set  # type: ignore[assignment]
    main()
