import json
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ
from cvi.bench.probe.waveform import TimeSpan
from cvi.bench.recordings.caller_blocks import read_callers
from cvi.bench.recordings.folders import read_recordings
from cvi.bench.recordings.labelled_recordings import Silence, floor_events
from cvi.errors import CviError, UsageError
from cvi.media.decode import write_wav
from cvi.models.profiles import flite_loads

TURNS = Path(__file__).parents[3] / "shared" / "media" / "turns"


def sound(path: Path, seconds: float, *levels: int) -> None:
    """A file with a channel of steady noise for each level."""
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 1, (round(seconds * HEARD_HZ), len(levels))) * np.array(levels)
    write_wav(path, samples.astype(np.int16), HEARD_HZ)


def test_clips_with_labelled_pauses(tmp_path):
    sound(tmp_path / "a.wav", 5.0, 500)
    (tmp_path / "a.scv").write_text("a,0.0,0.4,0,0.4,1.5,1,1.5,1.55,0,1.55,2,1,2,2.5,0,2.5,4,1,4,4.06,0\n")
    (tmp_path / "b.scv").write_text("b,0.0,2.0,1,2.0,2.5,0,2.5,5.0,1")
    first, second = read_recordings(tmp_path).turns
    assert first.silences == (Silence(2.0, 2.5, False), Silence(4.0, None, True))
    assert second.silences == (Silence(2.0, 2.5, False),), "a clip cut off in speech has no end"
    assert len(first.sound()) == 5 * HEARD_HZ


def test_meetings_have_pauses_and_ends_of_turns(tmp_path):
    sound(tmp_path / "m.wav", 12.0, 500)
    lines = [(1.0, 2.0, "A"), (3.5, 1.5, "A"), (5.4, 2.0, "B"), (7.2, 1.0, "C"), (9.0, 0.3, "A"), (10, 1, "B")]
    (tmp_path / "x.rttm").write_text(
        "".join(f"SPEAKER m 1 {s} {d} <NA> <NA> {who} <NA> <NA>\n" for s, d, who in lines)
    )
    (turn,) = read_recordings(tmp_path).turns  # B and C overlap; A's last word is no turn
    starts = [(round(s.start_s, 3), s.is_end) for s in turn.silences]
    assert starts == [(2.5, False), (4.5, True)]
    assert len(turn.sound()) == round((5.4 - 0.5) * HEARD_HZ)


def test_two_channel_clips(tmp_path):
    label = {
        "audio": "c.wav",
        "channels": {"caller_channel": 1, "agent_channel": 0},
        "duration_sec": 4.0,
        "caller_onset_sec": 2.0,
        "expected": {"yield": True},
        "transcript": {"caller": "Stop."},
        "reference_render": {
            "caller_segments_sec": [[2.0, 3.5]],
            "agent_segments_sec": [[0.0, 2.6], [3.8, 4.0]],
        },
    }
    sound(tmp_path / "c.wav", 4.0, 100, 2000)
    (tmp_path / "c.json").write_text(json.dumps(label))
    found = read_recordings(tmp_path)
    (overlap,), (dialogue,) = found.overlaps, found.dialogues
    assert (overlap.onset_s, overlap.should_yield, overlap.until_s) == (2.0, True, 3.5)
    assert np.std(overlap.sound()) > 1500 and np.std(dialogue.sound(1)) < 200
    caller, agent = dialogue.speakers
    assert caller.takes == (2.0,) and caller.turn_ends == (3.5,)
    assert agent.turn_ends == (2.6,)


def test_floor_events_tell_backchannels_from_turns():
    talks = [TimeSpan(0.0, 9.0)]
    heard = floor_events([TimeSpan(3.0, 3.4), TimeSpan(7.0, 7.3)], talks, 10.0)
    assert heard.backchannels == (TimeSpan(3.0, 3.4), TimeSpan(7.0, 7.3)) and not heard.turn_ends
    pausing = floor_events([TimeSpan(0.0, 2.0), TimeSpan(2.6, 5.0)], [TimeSpan(5.4, 8.0)], 10.0)
    assert pausing.holds == (TimeSpan(2.0, 2.6),) and pausing.turn_ends == (5.0,)


def test_transcribed_utterances(tmp_path):
    for name in ("cards_001", "said"):
        sound(tmp_path / f"{name}.wav", 1.0, 300)
    (tmp_path / "cards.transcription").write_text("<s> ten of clubs </s> (001)\n<s> lost </s> (002)\n")
    (tmp_path / "said.txt").write_text("Is anybody there?\n")
    texts = {utterance.id: utterance.text for utterance in read_recordings(tmp_path).utterances}
    assert texts == {"cards_001": "ten of clubs", "said": "Is anybody there?"}


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.scv", "a,0.0,1.0", "not start, end, flag"),
        ("a.scv", "a,x,1.0,1", r"a\.scv"),
        ("m.rttm", "SPEAKER m 1 one 2", "m.rttm:1"),
        ("c.json", '{"caller_onset_sec": 1}', "'audio' is missing"),
        ("notes.md", "nothing", "holds no labelled recordings"),
    ],
)
def test_a_damaged_label_is_a_clear_error(tmp_path, name, text, complaint):
    (tmp_path / name).write_text(text)
    with pytest.raises(CviError, match=complaint) as found:
        read_recordings(tmp_path)
    assert "\n" not in str(found.value) and found.value.remedy


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no folder"):
        read_recordings(tmp_path / "gone")


@pytest.mark.skipif(not TURNS.is_dir(), reason="the test media are not here")
def test_the_recordings_of_the_test_media():
    found = read_recordings(TURNS)
    assert len(found.overlaps) == 13 and sum(o.should_yield for o in found.overlaps) == 8
    silences = [silence for turn in found.turns if turn.source == "pauses" for silence in turn.silences]
    assert (len(silences), sum(s.is_end for s in silences)) == (52, 10)
    assert len(found.dialogues) == 6
    assert found.overlaps[0].sound().shape == (9 * HEARD_HZ,)


RECIPE = """
name: few
seed: 3
blocks:
- name: one
  turns:
  - {id: p01, kind: pause, say: "I would like | some tea.", pause_s: 0.6, voice: "flite:slt"}
  - {id: k01, kind: backchannel, say: "Yeah.", into_reply_s: 0.8, voice: "flite:slt"}
"""


def test_synthetic_callers(tmp_path, cvi_home):
    if not flite_loads():
        pytest.skip("flite is not installed (apt-get install flite)")
    (tmp_path / "few.yaml").write_text(RECIPE)
    found = read_callers(str(tmp_path / "few.yaml"))
    (turn,), (overlap,), (utterance,) = found.turns, found.overlaps, found.utterances
    pause, end = turn.silences
    assert not pause.is_end and pause.end_s - pause.start_s == pytest.approx(0.6, abs=0.15)
    assert end.is_end and utterance.speech_end_s == end.start_s and utterance.text == "I would like some tea."
    said = turn.sound()
    level = [float(np.std(said[round(at * HEARD_HZ) :][:1600])) for at in (0.1, pause.start_s + 0.2)]
    assert max(level) < 30, "before the voice and in its pause there is only the room"
    assert np.std(said[round(0.5 * HEARD_HZ) : round(0.8 * HEARD_HZ)]) > 300
    assert not overlap.should_yield and overlap.onset_s == 2.0
    over = overlap.sound()
    assert np.std(over[: 2 * HEARD_HZ - 400]) < 30 < np.std(over[2 * HEARD_HZ : round(2.3 * HEARD_HZ)])
