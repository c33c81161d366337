"""No replica without a consent, and none that was changed afterwards."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from films import make_film

from cvi.errors import UsageError
from cvi.face.consent import CARD, check_consent, load_consent
from cvi.training.package.consent import EXAMPLE, give_consent, save_consent

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FOOTAGE = "ab" * 32


@pytest.mark.parametrize("nothing", [None, "", "   ", "yes", "ok do it"])
def test_without_consent_nothing_is_made(nothing: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        give_consent(nothing, FOOTAGE)
    assert "agree" in caught.value.remedy


def test_a_wording_says_who_agrees_and_is_kept(tmp_path: Path) -> None:
    consent = give_consent(EXAMPLE, FOOTAGE, purpose="talks", now=NOW)
    assert (consent.who, consent.kind, consent.purpose) == ("Anna Example", "text", "talks")
    assert consent.when == "2026-03-04T05:06:07+00:00"
    assert save_consent(consent, tmp_path) == (CARD,)
    assert load_consent(tmp_path) == consent == check_consent(tmp_path, FOOTAGE)


def test_a_text_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "consent.txt"
    path.write_text("Ich, Jörg Müller, bin die Person in diesem Film und stimme zu.\n", encoding="utf-8")
    consent = give_consent(str(path), FOOTAGE)
    assert consent.who == "Jörg Müller" and consent.evidence == "consent.txt"


def test_a_wording_without_a_name_needs_one() -> None:
    text = "I agree that a replica is made of my face and of my voice"
    with pytest.raises(UsageError, match="who agrees"):
        give_consent(text, FOOTAGE)
    assert give_consent(text, FOOTAGE, who="Anna Example").who == "Anna Example"


def test_a_film_is_kept_with_its_hash(tmp_path: Path) -> None:
    film = make_film(tmp_path / "yes.mp4", [n / 25 for n in range(10)], sound_s=0.4)
    consent = give_consent(str(film), FOOTAGE, who="Anna Example")
    folder = tmp_path / "replica"
    folder.mkdir()
    assert save_consent(consent, folder, film) == (CARD, "consent.mp4")
    assert (folder / "consent.mp4").read_bytes() == film.read_bytes()
    assert load_consent(folder).kind == "film"
    other = make_film(tmp_path / "no.mp4", [n / 25 for n in range(11)], sound_s=0.4)
    with pytest.raises(UsageError, match="not the film"):
        save_consent(consent, folder, other)


def test_a_film_needs_sound_and_a_name(tmp_path: Path) -> None:
    mute = make_film(tmp_path / "mute.mp4", [0.0, 0.04])
    with pytest.raises(UsageError, match="no sound"):
        give_consent(str(mute), FOOTAGE, who="Anna")
    film = make_film(tmp_path / "yes.mp4", [n / 25 for n in range(10)], sound_s=0.4)
    with pytest.raises(UsageError, match="who agrees"):
        give_consent(str(film), FOOTAGE)
    with pytest.raises(UsageError, match="no consent at"):
        give_consent(str(tmp_path / "gone.mp4"), FOOTAGE)


@pytest.mark.parametrize("field", ["who", "purpose", "when", "text", "footage_sha256", "recorded_by"])
def test_a_changed_consent_is_found_out(tmp_path: Path, field: str) -> None:
    save_consent(give_consent(EXAMPLE, FOOTAGE), tmp_path)
    path = tmp_path / CARD
    data = json.loads(path.read_text())
    data[field] = "somebody else's"
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="changed"):
        load_consent(tmp_path)


def test_another_footage_is_another_consent(tmp_path: Path) -> None:
    save_consent(give_consent(EXAMPLE, FOOTAGE), tmp_path)
    with pytest.raises(UsageError, match="other footage"):
        check_consent(tmp_path, "cd" * 32)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"format": 1}'])
def test_a_missing_or_damaged_consent_is_reported(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / CARD).write_text(content)
    with pytest.raises(UsageError):
        load_consent(tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        "I, Anna Example, do not agree that anything is made of me.",
        "I, Anna Example, never consented to this film.",
        "Ich, Jörg Müller, stimme dem hier nicht zu.",
        "Ich, Jörg Müller, bin damit nicht einverstanden.",
        "Moi, Anne Exemple, je n'accepte pas que l'on fasse cela.",
        "Yo, Ana Ejemplo, no autorizo nada de todo esto.",
        "The quick brown fox jumps over the lazy dog.",
    ],
)
def test_words_that_do_not_agree_are_no_consent(words: str) -> None:
    with pytest.raises(UsageError, match="does not say that anybody agrees"):
        give_consent(words, FOOTAGE, who="Anna Example")


@pytest.mark.parametrize(
    "words",
    [
        "Ich, Jörg Müller, bin damit einverstanden, dass ein Abbild von mir entsteht.",
        "Yo, Ana Ejemplo, doy mi consentimiento para una réplica de mi cara.",
        "Moi, Anne Exemple, j'accepte que l'on fasse une réplique de mon visage.",
        "Io, Anna Esempio, acconsento a una replica del mio viso e della mia voce.",
        "I, Anna Example, am not paid for it and agree that a replica is made of me.",
    ],
)
def test_other_languages_agree_too(words: str) -> None:
    assert give_consent(words, FOOTAGE).kind == "text"


def test_a_wording_with_its_gaps_still_open_is_none() -> None:
    words = EXAMPLE.replace("Anna Example", "<name>")
    with pytest.raises(UsageError, match="gap to fill in: <name>"):
        give_consent(words, FOOTAGE, who="Anna")


def test_a_long_wording_is_no_path() -> None:
    assert give_consent(f"{EXAMPLE} {EXAMPLE} {EXAMPLE}", FOOTAGE).kind == "text"
    assert (
        give_consent("~nobody at all agrees so willingly/I agree to it", FOOTAGE, who="Anna").kind == "text"
    )


@pytest.mark.parametrize("path", ["/nowhere/consent", "agreed.avi", "my consent.mp4", "folder/consent"])
def test_a_path_that_does_not_exist_is_reported(path: str) -> None:
    with pytest.raises(UsageError, match="There is no consent at"):
        give_consent(path, FOOTAGE, who="Anna")
