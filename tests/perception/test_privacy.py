"""What must not happen to pictures: no camera is opened where perception is off, and no frame is stored."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from cvi.cli import talk_session
from cvi.cli.options import TalkRequest
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import PerceptionToolCalled
from cvi.perception.awareness import AwarenessSettings, PerceptionTool
from cvi.perception.from_persona import build_participant
from cvi.perception.participant import Participant, PerceptionSettings
from cvi.persona.schema import Persona
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script
from tests.perception.test_perceiving_participant import PLAIN


def request(camera: str | None) -> TalkRequest:
    return TalkRequest(
        caller=None, output=None, persona="guide", replica=None, profile="embedded", text=False, stereo=False,
        wait=False, size="640x360", fps=25, camera=camera, microphone=None, speaker=None, headphones=False,
        window=False, context="",
    )  # fmt: skip


@pytest.mark.parametrize("camera", [None, "0"])
async def test_perception_off_opens_no_camera(
    camera: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the list of cameras is asked for, which would turn some of their lights on."""
    opened: list[object] = []
    monkeypatch.setattr(talk_session, "cameras", lambda: opened.append("listed"))
    monkeypatch.setattr(talk_session, "LocalTransport", lambda **options: opened.append(options["camera"]))
    talk_session._transport(request(camera), Clock(), tmp_path, (640, 360), "June", sees=False)
    assert opened == [None]


def test_a_persona_that_perceives_nothing_has_no_perceiver() -> None:
    layers = {"perception": {"perception_model": "off"}}
    blind = Persona.model_validate({"persona_name": "June", "system_prompt": "Be June.", "layers": layers})
    assert build_participant(blind, small_model=False, private_hosts=None) is None


def test_frames_stand_in_no_file_and_a_tool_gets_the_one_that_shows_its_condition(tmp_path: Path) -> None:
    """A smile of a second is judged, also where the judgement comes when it is long over."""
    vision = AwarenessSettings("vision", (), (PerceptionTool("cheer", "Called when they smile."),))
    script, participant = Script(), Participant(PerceptionSettings(hears=False, vision=vision))
    for tenth in range(120):
        smiles = 45 <= tenth < 57
        sight = replace(PLAIN, t_s=tenth / 10, smile=0.9 if smiles else 0.0)
        picture = np.full((48, 64, 3), 200 if smiles else 50, np.uint8)
        script.app_does(tenth / 10, lambda _, sight=sight, picture=picture: participant.saw(sight, picture))
    script.user_says(13.0, "goodbye")
    llm = FakeLlm(["Well."], structured=lambda messages, schema: {"tool": "cheer"}, structured_s=3.0)
    journal = tmp_path / "journal.jsonl"
    outcome = script.play(
        llm, capabilities=Capabilities([participant], perceiver=participant), journal=journal
    )
    (call,) = outcome.of(PerceptionToolCalled)
    shown = cv2.imdecode(np.frombuffer(call.frames[0], np.uint8), cv2.IMREAD_COLOR)
    assert abs(float(shown.mean()) - 200) < 10
    assert list(tmp_path.iterdir()) == [journal]
    assert max(map(len, journal.read_text().splitlines())) < 2_000 and "frames" not in journal.read_text()
