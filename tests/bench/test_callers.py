"""Callers made of recipes: the labels agree with the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ
from cvi.bench.recordings.caller_blocks import CallerBlock, build_blocks
from cvi.bench.recordings.recipe import Recipe, find_recipe, load_recipe, shipped_recipes
from cvi.bench.recordings.synthesis import SPEECH_RMS, convolved, impulse_response, levelled, noise
from cvi.errors import MissingError, UsageError

RECIPE = """
name: small
seed: 3
blocks:
- name: dry
  turns:
  - {id: q1, say: "Hello there.", voice: "espeak:en-us+f2"}
  - {id: p1, kind: pause, say: "I would like | to know.", pause_s: 0.5, voice: "espeak:en-us+f2"}
  - {id: b1, kind: barge_in, say: "Stop.", voice: "espeak:en-us+f2", into_reply_s: 0.75}
- name: hall
  room: {noise: street, snr_db: 10, rt60_s: 0.6}
  turns:
  - {id: r1, kind: reverb, say: "Hello there.", voice: "espeak:en-us+f2"}
"""


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> list[CallerBlock]:
    return built(tmp_path_factory.mktemp("callers"))


def built(folder: Path, text: str = RECIPE, turns: int | None = None) -> list[CallerBlock]:
    path = folder / "small.yaml"
    path.write_text(text)
    try:
        return build_blocks(load_recipe(path), turns=turns, folder=folder / "made")
    except MissingError as error:
        pytest.skip(str(error))


def level(pcm: np.ndarray, start_s: float, end_s: float) -> float:
    part = pcm[round(start_s * HEARD_HZ) : round(end_s * HEARD_HZ)].astype(float)
    return float(np.sqrt(np.mean(part**2)))


def test_the_voice_is_where_the_labels_say(blocks: list[CallerBlock]) -> None:
    voice = blocks[0].voice()
    for turn in blocks[0].turns:
        assert turn.start_s < turn.speech_start_s < turn.speech_end_s < turn.end_s
        inside = np.abs(voice[round(turn.start_s * HEARD_HZ) : round(turn.end_s * HEARD_HZ)])
        loud = np.flatnonzero(inside > 100) / HEARD_HZ + turn.start_s
        assert loud[0] == pytest.approx(turn.speech_start_s, abs=0.001)
        # The synthesizer's own end of the last sound; what follows dies away.
        assert turn.speech_end_s <= loud[-1] + 0.001 and loud[-1] - turn.speech_end_s < 0.1
    gap = blocks[0].turns
    assert level(voice, gap[0].end_s + 0.05, gap[1].start_s - 0.05) == 0


def test_words_and_pauses_have_times(blocks: list[CallerBlock]) -> None:
    turn = blocks[0].turns[1]
    assert [word for word, _, _ in turn.words] == ["I", "would", "like", "to", "know"]
    (start_s, end_s), = turn.pauses
    assert 0.5 <= end_s - start_s < 0.6
    assert turn.words[2][2] <= start_s + 0.01 and turn.words[3][1] >= end_s - 0.01
    assert level(blocks[0].voice(), end_s - 0.495, end_s - 0.005) == 0


def test_the_scenario_has_the_labelled_segments(blocks: list[CallerBlock]) -> None:
    scenario = blocks[0].scenario
    assert [segment.into_reply_s for segment in scenario.segments] == [None, None, 0.75]
    assert [segment.speech_end_s for segment in scenario.segments] == [
        turn.speech_end_s for turn in blocks[0].turns
    ]


def test_reverberation_goes_on_after_the_labelled_end(blocks: list[CallerBlock]) -> None:
    dry, wet = blocks[0], blocks[1]
    turn = wet.turns[0]
    assert turn.speech_end_s - turn.speech_start_s == pytest.approx(
        dry.turns[0].speech_end_s - dry.turns[0].speech_start_s, abs=0.001
    )
    assert level(wet.voice(), turn.speech_end_s, turn.speech_end_s + 0.1) > 100
    conditions = dict(turn.conditions)
    assert conditions["snr_db"] == 10 and conditions["rt60_s"] == 0.6 and conditions["noise"] == "street"


def test_noise_is_as_loud_as_the_recipe_says(blocks: list[CallerBlock]) -> None:
    bed = blocks[1].room_noise()
    assert bed is not None
    assert 20 * np.log10(SPEECH_RMS / level(bed, 0, len(bed) / HEARD_HZ)) == pytest.approx(10, abs=0.1)
    mixed, voice = blocks[1].mixed().astype(int), blocks[1].voice().astype(int)
    assert np.array_equal((mixed - voice)[:1000], bed[:1000])


def test_the_same_recipe_gives_the_same_samples(blocks: list[CallerBlock], tmp_path: Path) -> None:
    for block, again in zip(blocks, built(tmp_path), strict=True):
        assert np.array_equal(block.voice(), again.voice())
        assert block.turns == again.turns


def test_fewer_turns_are_a_prefix(blocks: list[CallerBlock], tmp_path: Path) -> None:
    (fewer,) = built(tmp_path, turns=2)
    assert fewer.turns == blocks[0].turns[:2]


def test_the_standard_recipe_has_all_kinds_of_turns() -> None:
    recipe = load_recipe(find_recipe("standard"))
    kinds = {turn.kind for turn in recipe.turns}
    assert len(recipe.turns) >= 60
    assert kinds == {"question", "pause", "barge_in", "backchannel", "noise", "reverb", "accent", "echo"}
    assert {path.stem for path in shipped_recipes()} >= {"standard"}
    assert isinstance(recipe, Recipe)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("id: p1", "id: q1", "two turns are called q1"),
        ("into_reply_s: 0.75", "pause_s: 0.5", "is a barge_in"),
        ("snr_db: 10", "snr_db: loud", "blocks.1.room.snr_db"),
        ("kind: pause", "kind: song", "blocks.0.turns.1.kind"),
        ("name: small", "name: small\ncolour: red", "colour"),
        ("blocks:", "blocks: [", "not YAML"),
    ],
)
def test_an_invalid_recipe_gives_a_one_line_error(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(RECIPE.replace(old, new))
    with pytest.raises(UsageError, match=complaint) as told:
        load_recipe(path)
    assert "\n" not in told.value.message


def test_echo_levels_of_the_standard_and_echo_recipes() -> None:
    def echoes(name: str) -> list[float]:
        blocks = load_recipe(find_recipe(name)).blocks
        return [block.room.echo_db for block in blocks if block.room.echo_db is not None]

    assert echoes("standard") == [-46]
    assert echoes("echo") == [-46, -39, -32, -20, -46]


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(UsageError, match="no set of callers 'nobody'"):
        find_recipe("nobody")


def test_noise_repeats_without_a_step() -> None:
    rng = np.random.default_rng(0)
    for kind in ("fan", "street"):
        sound = noise(kind, 3 * HEARD_HZ, rng)
        steps = np.abs(np.diff(np.concatenate([sound, sound[:1]])))
        assert steps[-1] <= steps[:-1].max()
        assert float(np.sqrt(np.mean(sound**2))) == pytest.approx(1.0)


def test_an_impulse_response_has_the_requested_rt60() -> None:
    response = impulse_response(0.5, 3.0, np.random.default_rng(1))
    energy = np.cumsum((response[1:] ** 2)[::-1])[::-1]
    assert response[0] == 1.0
    assert 10 * np.log10(1.0 / energy[0]) == pytest.approx(3.0, abs=0.01)
    fall_db = 10 * np.log10(energy / energy[0])
    # Schroeder's integral: from -5 to -25 dB is a third of the reverberation time.
    early = float(np.argmax(fall_db < -25) - np.argmax(fall_db < -5)) / HEARD_HZ
    assert early * 3 == pytest.approx(0.5, rel=0.25)


def test_convolution_adds_the_echoes() -> None:
    sound, response = np.array([1.0, 2.0, 0.0]), np.array([1.0, 0.0, 0.5])
    assert convolved(sound, response) == pytest.approx([1, 2, 0.5, 1, 0])
    assert levelled(np.zeros(5)).sum() == 0
