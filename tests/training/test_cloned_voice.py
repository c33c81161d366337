"""A replica's own voice: cloned with consent, and used only with it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import paper
import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("pocket_tts", reason="Pocket TTS is not installed: pip install 'cvi-local[clone]'")
from tiny_pocket import make_model

from cvi.audio.block import PLAYED_HZ
from cvi.cli.app import app
from cvi.engines import resolve, tts_settings
from cvi.errors import MissingError, UsageError
from cvi.face.replica import export_replica, import_replica, load_replica_card
from cvi.files import write_bytes
from cvi.media.decode import write_wav
from cvi.models.profiles import Resolution, build_profile
from cvi.paths import models_dir
from cvi.persona.loading import load_persona
from cvi.persona.schema import Persona
from cvi.training.package.cloned_voice import clone_voice, spoken_clone, voice_of
from cvi.training.photo.photo_replica import PhotoRequest, make_photo_replica

FACE = "I, Paula Paper, agree that a replica of my face is made from this photo."
VOICE = "I, Paula Paper, am heard in this recording and agree that my voice is cloned from it."
RUN = CliRunner()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("pocket") / "model")


@pytest.fixture
def installed(model: Path, cvi_home: Path) -> Path:
    folder = models_dir() / "pocket-tts-english"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(model)
    return folder


@pytest.fixture
def replica(cvi_home: Path, tmp_path: Path) -> Path:
    photo = tmp_path / "paula.png"
    cv2.imwrite(str(photo), paper.picture()[..., ::-1])
    order = PhotoRequest(photo, "paula", FACE)
    return make_photo_replica(order, lambda: paper.PaperTracker(paper.landmarks())).folder


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    t = np.arange(7 * PLAYED_HZ) / PLAYED_HZ
    path = tmp_path / "paula.wav"
    write_wav(
        path, (9000 * np.sin(2 * np.pi * 170 * t) * (0.7 + 0.3 * np.sin(9 * t))).astype(np.int16), PLAYED_HZ
    )
    return path


def embedded(name: str) -> Resolution:
    return Resolution(build_profile("embedded"))


def guide(**tts: object) -> Persona:
    persona = load_persona("guide")
    document = persona.model_dump(exclude_unset=True)
    layers = {**document.get("layers", {})}
    layers["tts"] = {**layers.get("tts", {}), **tts}
    return Persona.model_validate({**document, "layers": layers})


def test_a_cloned_voice_is_stored_with_its_consent_and_used(
    replica: Path, recording: Path, installed: Path
) -> None:
    before = resolve(guide(), replica="paula", profile_of=embedded)
    assert before.tts.engine in ("flite", "espeak")
    outcome = RUN.invoke(app, ["replica", "voice", "paula", str(recording), "--consent", VOICE])
    assert outcome.exit_code == 0, outcome.output
    card = load_replica_card(replica)
    assert card.voices["pocket"] == "voice-pocket.safetensors"
    assert {"voice-pocket.safetensors", "voice.json"} <= set(card.files)
    story = json.loads((replica / "voice.json").read_text())
    assert story["consent"]["text"] == VOICE and story["consent"]["who"] == "Paula Paper"
    chosen = resolve(guide(), replica="paula", profile_of=embedded)
    assert chosen.tts.engine == "pocket"
    settings = tts_settings(chosen, "en")
    assert settings.voice == str(replica / "voice-pocket.safetensors")
    # Named by the persona, another voice is that voice.
    named = resolve(guide(tts_engine="espeak"), replica="paula", profile_of=embedded)
    assert named.tts.engine == "espeak"


def test_without_the_model_another_voice_speaks(
    replica: Path, recording: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone_voice("paula", recording, consent=VOICE)
    installed.unlink()
    chosen = resolve(guide(), replica="paula", profile_of=embedded)
    assert chosen.tts.engine in ("flite", "espeak")
    assert tts_settings(chosen, "en").voice != "voice-pocket.safetensors"


def test_a_language_it_does_not_speak_is_spoken_by_another(
    replica: Path, recording: Path, installed: Path
) -> None:
    clone_voice("paula", recording, consent=VOICE)
    card = load_replica_card(replica)
    assert spoken_clone(card, "en") == ("pocket", str(replica / "voice-pocket.safetensors"))
    assert spoken_clone(card, "de") is None


@pytest.mark.parametrize(
    ("consent", "said"),
    [
        (None, "other footage"),
        ("I, Paula Paper, agree that a replica of my face is made.", "does not speak of the voice"),
        ("my voice", "no consent"),
    ],
)
def test_no_voice_without_a_consent_to_it(
    replica: Path, recording: Path, installed: Path, consent: str | None, said: str
) -> None:
    card = (replica / "replica.yaml").read_bytes()
    with pytest.raises(UsageError, match=said):
        clone_voice("paula", recording, consent=consent)
    assert (replica / "replica.yaml").read_bytes() == card and not (replica / "voice.json").exists()


def test_a_voice_that_was_not_agreed_to_is_not_spoken(
    replica: Path, recording: Path, installed: Path
) -> None:
    clone_voice("paula", recording, consent=VOICE)
    story = replica / "voice.json"
    whole = json.loads(story.read_text())

    def tampered(**change: object) -> None:
        story.write_text(json.dumps({**whole, "consent": {**whole["consent"], **change}}))
        card = yaml.safe_load((replica / "replica.yaml").read_text())
        from cvi.files import sha256_of

        card["files"]["voice.json"] = sha256_of(story)
        (replica / "replica.yaml").write_text(yaml.safe_dump(card))

    for change in ({"who": "Somebody Else"}, {"text": VOICE + " And more."}, {"footage_sha256": "0" * 64}):
        tampered(**change)
        with pytest.raises(UsageError, match="not the one that was agreed to"):
            voice_of(load_replica_card(replica), "pocket")
    tampered()
    assert voice_of(load_replica_card(replica), "pocket") == str(replica / "voice-pocket.safetensors")


def test_invalid_requests_are_refused(replica: Path, recording: Path, cvi_home: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no Pocket TTS model"):
        clone_voice("paula", recording, consent=VOICE)
    with pytest.raises(UsageError, match="stock replica"):
        clone_voice("june", recording, consent=VOICE)
    with pytest.raises(UsageError, match="no cloner engine named"):
        clone_voice("paula", recording, consent=VOICE, engine="none")
    with pytest.raises(UsageError, match="no file"):
        clone_voice("paula", tmp_path / "none.wav", consent=VOICE)
    short = tmp_path / "short.wav"
    write_wav(short, np.full(PLAYED_HZ, 900, np.int16), PLAYED_HZ)
    with pytest.raises(UsageError, match="s of speech are heard"):
        clone_voice("paula", short, consent=VOICE)


def test_the_voice_is_exported_with_the_replica(replica: Path, recording: Path, installed: Path, tmp_path: Path) -> None:
    clone_voice("paula", recording, consent=VOICE)
    export_replica("paula", tmp_path / "paula.zip")
    card = import_replica(tmp_path / "paula.zip", "paula2")
    assert voice_of(card, "pocket") == str(card.folder / "voice-pocket.safetensors")


def test_a_film_is_no_consent_to_a_voice(
    replica: Path, recording: Path, installed: Path, tmp_path: Path
) -> None:
    film = tmp_path / "yes.mp4"
    film.write_bytes(b"whatever it is")
    with pytest.raises(UsageError, match="kept as words"):
        clone_voice("paula", recording, consent=str(film))
    with pytest.raises(UsageError, match="is not a file"):
        clone_voice("paula", tmp_path, consent=VOICE)


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
def test_the_replica_is_valid_when_killed_while_a_voice_is_replaced(
    replica: Path, recording: Path, installed: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    from cvi.training.package import cloned_voice

    clone_voice("paula", recording, consent=VOICE)
    left = writes

    def killed(path: Path, data: bytes) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        write_bytes(path, data)

    monkeypatch.setattr(cloned_voice, "write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        clone_voice("paula", recording, consent=f"{VOICE} Again.")
    card = load_replica_card(replica)
    assert (voice_of(card, "pocket") is None) == (writes > 0)
