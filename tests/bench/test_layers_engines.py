import json
import sys
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ
from cvi.bench.layers.engine_speed import (
    SENTENCES,
    LlmTimes,
    busy_cores,
    judge_endings,
    llm_variant,
    read_endings,
    separation,
    time_llm,
    time_voice,
)
from cvi.bench.layers.face import face_memory, h264, parse_size, performance, time_face
from cvi.bench.layers.measurement import finish, proportion
from cvi.bench.layers.simulation import run_simulated
from cvi.bench.layers.stt import error_rate, normalized, recognize, stt_variant, word_errors
from cvi.bench.recordings.labelled_recordings import LabelledUtterance
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder, load_run
from cvi.bench.tables import print_run
from cvi.cli.app import main
from cvi.errors import CviError, UsageError
from cvi.face.base import FaceSettings
from cvi.face.replica import list_replicas
from cvi.paths import shared_dir
from cvi.testing.fakes import FakeLlm, FakeStt, FakeTts, Vocabulary

# -- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Mister Smith's here.", "mr smith's HERE"),
        ("twenty one, please", "21 please"),
        ("the third of May", "The 3rd of May!"),
        ("three point five percent", "3.5 %"),
        ("one thousand two hundred", "1,200"),
        ("I cannot, okay", "i can not ok"),
        ("the BBC", "the B.B.C."),
    ],
)
def test_what_sounds_alike_is_no_error(said, written):
    assert word_errors(said, written).errors == 0, (normalized(said), normalized(written))


def test_errors_are_counted_by_kind():
    found = word_errors("a b c d e", "a x c e f")
    assert (found.words, found.substituted, found.left_out, found.made_up) == (5, 1, 1, 1)
    assert word_errors("", "hello there").made_up == 2
    assert word_errors("hello there", "").left_out == 2


def test_the_rate_is_of_all_words_together():
    found = [word_errors("a b c d e f g h i", "a b c d e f g h i"), word_errors("a", "b")]
    rate = error_rate(found)
    assert rate.value == 0.1 and rate.low == 0.0 and rate.high == 1.0
    assert error_rate([]) is None and error_rate([word_errors("", "x")]) is None


# -- recognizer -------------------------------------------------------------------------------------


def test_a_recognizer_is_fed_at_the_pace_of_speech():
    vocabulary = Vocabulary()
    sounds = {name: vocabulary.sound(name) for name in ("one two three", "four five")}
    utterances = [LabelledUtterance(name, "s", name, lambda name=name: sounds[name]) for name in sounds]
    utterances.append(LabelledUtterance("wrong", "t", "nothing of this", lambda: sounds["four five"]))
    found = run_simulated(recognize(utterances, FakeStt(vocabulary, delay_s=0.12), lambda name: None))
    assert [one.written for one in found] == ["one two three", "four five", "four five"]
    assert all(one.final_s == pytest.approx(0.12) for one in found)
    assert found[0].length_s == len(sounds["one two three"]) / HEARD_HZ
    variant = stt_variant("all", found, "fake")
    assert variant.figure("wer").values == (pytest.approx(100 * 3 / 8),)
    low, high = variant.figure("wer").interval
    assert low <= 100 * 3 / 8 <= high
    assert variant.figure("final_ms").values == pytest.approx((120, 120, 120))


# -- language model ---------------------------------------------------------------------------------


async def test_a_model_is_timed_as_a_conversation_uses_it():
    llm = FakeLlm(["One two three four five six seven."], first_token_s=0.0, token_s=0.0)
    times = await time_llm(llm, 2)
    assert len(times.cold_s) == len(times.warm_s) == len(times.judge_s) == len(times.giving_way_s) == 2
    systems = [messages[0].content for messages in llm.asked[:2]]
    assert systems[0] != systems[1], "a prompt never seen is another each time"
    assert "could you tell me about" in llm.prefilled
    assert all(rate > 0 for rate in times.pieces_per_s)


async def test_endings_are_judged_after_their_question(tmp_path):
    path = tmp_path / "endings.tsv"
    path.write_text("# no pair\n\tI saw the sea\tI saw the\nWhen?\ttomorrow at noon\ttomorrow and\n")
    pairs = read_endings(path)
    assert pairs[1] == ("When?", "tomorrow at noon", "tomorrow and")
    times = LlmTimes()
    await judge_endings(FakeLlm(), pairs, times)
    assert times.complete == [0.95, 0.95] and times.broken == [0.05, 0.05]
    variant = llm_variant("fake", "", "fake", times)
    area = variant.figure("completeness_auc")
    assert area.values == (1.0,) and area.interval == (1.0, 1.0)
    assert variant.figure("complete_missed").values == (0.0, 0.0)
    path.write_text("only one\n")
    with pytest.raises(UsageError, match=r"endings\.tsv:1"):
        read_endings(path)
    with pytest.raises(UsageError, match="gone"):
        read_endings(tmp_path / "gone.tsv")


def test_separation_of_guesses_is_a_half():
    rng = np.random.default_rng(3)
    area, low, high = separation(rng.random(200).tolist(), rng.random(200).tolist())
    assert low < 0.5 < high and low < area < high




async def test_busy_cores_are_given_back():
    import asyncio

    began = []
    make = asyncio.create_subprocess_exec

    async def watched(*words):
        began.append(await make(*words))
        return began[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", watched)
        async with busy_cores(1):
            assert began[0].returncode is None
    assert began[0].returncode is not None


# -- voice ------------------------------------------------------------------------------------------


async def test_every_sentence_is_spoken():
    variant = await time_voice(FakeTts(word_s=0.1, delay_s=0.0), "fake", 2)
    assert len(variant.figure("first_audio_ms").values) == 2 * len(SENTENCES)
    lengths = variant.figure("spoken_s").values
    assert lengths[0] == pytest.approx(0.2) and lengths[: len(SENTENCES)] == lengths[len(SENTENCES) :]


# -- face -------------------------------------------------------------------------------------------


class ToyFace:
    name = "sculpted"

    def __init__(self, settings):
        self.width, self.height = settings.width, settings.height
        self.closed = False

    def render(self, controls):
        sum(range(20_000))
        return np.full((self.height * 3 // 2, self.width), 128, np.uint8)

    def close(self):
        self.closed = True


def test_drawing_and_encoding_are_timed_apart(tmp_path, monkeypatch):
    built = []

    def build(layer, name, settings):
        built.append(ToyFace(settings))
        return built[-1]

    monkeypatch.setattr("cvi.bench.layers.face.build", build)
    figures = {figure.name: figure for figure in time_face("sculpted", FaceSettings(tmp_path, 64, 64), 0.4)}
    assert built[0].closed and len(figures["built_ms"].values) == 1
    for activity in ("idle", "speaking"):
        both, drawn, encoded = (figures[f"{activity}_{part}_ms"].values for part in ("frame", "render", "encode"))
        assert len(both) == 10, "the first frames only warm up"
        assert all(d > 0 and e > 0 and d + e == b for b, d, e in zip(both, drawn, encoded, strict=True))


def test_idle_mouths_rest_and_speaking_ones_move():
    idle = list(performance("idle", 25))
    speaking = list(performance("speaking", 25))
    assert {controls.jaw for controls in idle} == {0.0}
    assert max(c.jaw for c in speaking) - min(c.jaw for c in speaking) > 0.1


def test_frames_are_encoded_one_by_one():
    encode = h264(64, 64)
    frame = np.random.default_rng(1).integers(16, 235, (96, 64), np.uint8)
    assert encode(frame) > 500 and 0 < encode(frame) < 500


@pytest.mark.parametrize("size", ["720", "1280x", "1281x720", "0x0", "axb", "99999x100"])
def test_odd_sizes_are_refused(size):
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        parse_size(size)
    assert parse_size("1280X720") == (1280, 720)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a peak of memory")
def test_the_largest_face_at_1080p_takes_at_most_400_mib():
    shipped = [folder for folder in list_replicas().values() if shared_dir("replicas") in folder.parents]
    largest = max(shipped, key=lambda folder: (folder / "atlas.npz").stat().st_size)
    (memory,) = face_memory("sculpted", FaceSettings(largest, 1920, 1080))
    assert memory.name == "memory_mib" and 10 < memory.values[0] < 400


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a peak of memory")
def test_a_face_that_cannot_be_built_is_one_clear_error(tmp_path):
    with pytest.raises(CviError, match="could not be measured"):
        face_memory("sculpted", FaceSettings(tmp_path))


# -- the record -------------------------------------------------------------------------------------


def test_a_run_is_kept_and_printed(tmp_path, capsys):
    recorder = RunRecorder("stt", {}, output=tmp_path / "run")
    recorder.write("written.json", [{"id": 1}])
    recorder.notes.append("A note.")
    variants = [
        Variant("all", "x", {"stt": "fake"}, figures=(
            Figure("wer", "word error rate", "%", (30.0,), interval=(20.0, 40.0)),
            Figure("final_ms", "final text", "ms", (10.0, 20.0, 30.0)),
            proportion("missed", "missed", [True, False, False, False]),
            Figure("none", "nothing", "ms", ()),
        ))
    ]  # fmt: skip
    finish(recorder, variants, as_text=True)
    run = load_run(recorder.folder)
    assert json.loads(capsys.readouterr().out)["kind"] == run.kind == "stt"
    assert json.loads((recorder.folder / "written.json").read_text()) == [{"id": 1}]
    assert run.fingerprint["engines"] == {"stt": "fake"} and run.files == ("written.json",)
    print_run(run, recorder.folder)
    shown = capsys.readouterr().out
    for text in ("30.0 %", "20.0 to 40.0", "20.0 ms", "25.0 %", "4.6 to 69.9 (4)", "—", "A note."):
        assert text in shown, text
    with pytest.raises(UsageError, match="holds a run already"):
        RunRecorder("stt", {}, output=tmp_path / "run")


# -- the command ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("turns", "gone/"),
        ("turns", "no-such-recipe"),
        ("barge-in", "."),
        ("stt", "."),
        ("turns", "--heard", "gone"),
        ("face", "--size", "odd"),
    ],
)
def test_a_wrong_request_ends_in_one_clear_line(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cvi", "bench", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert ended.value.code == 2 and not shown.out
    complaint, remedy = shown.err.splitlines()
    assert complaint.startswith("cvi: ") and remedy.strip()
    assert not (tmp_path / "out").exists()
