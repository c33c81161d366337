"""The recording: exact to the sample, readable after a crash, one clear error on a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import HEARD_HZ, PLAYED_HZ
from cvi.errors import CviError, UsageError
from cvi.media import recorder as recorder_module
from cvi.media.encode import check_output, remux
from cvi.media.recorder import Recorder, slice_end, soft_limit
from tests.recordings import HEIGHT, WIDTH, clicks, frames_of, peak_near, sound_of, unit


def record(
    path: Path, seconds: float, fps: int, persona: np.ndarray, caller: np.ndarray, flashes=(), stereo=True
):
    recorder = Recorder(path, width=WIDTH, height=HEIGHT, fps=fps, stereo=stereo)
    samples = PLAYED_HZ // fps
    for index in range(round(seconds * fps)):
        start, stop = (slice_end(index - 1, fps) if index else 0), slice_end(index, fps)
        piece = persona[index * samples : (index + 1) * samples]
        recorder.put(unit(index, fps, piece, 235 if index in flashes else 16), caller[start:stop])
    recorder.close()
    return recorder


@pytest.mark.parametrize("fps", [24, 25, 30])
@pytest.mark.parametrize("plain", [False, True], ids=["recording", "output"])
def test_both_voices_are_exact_to_the_sample(tmp_path: Path, fps: int, plain: bool) -> None:
    caller_at = [160, 7_777, 16_001, 31_000, 45_000]
    persona_at = [1_000, 12_345, 24_000, 48_111, 70_000]
    path = tmp_path / "recording.mp4"
    record(path, 3, fps, clicks(3, persona_at, PLAYED_HZ), clicks(3, caller_at))
    if plain:
        remux(path, tmp_path / "out.mp4")
        path = tmp_path / "out.mp4"
    left, right = sound_of(path)
    for at in caller_at:
        assert abs(peak_near(left, at * 3) - at * 3) <= 1
    for at in persona_at:
        assert abs(peak_near(right, at * 2) - at * 2) <= 1
    assert np.abs(left[23_000:23_700]).max() > 0.2 > np.abs(right[23_000:23_700]).max(), (
        "left is the caller alone"
    )


def test_a_flash_and_its_click_are_within_a_millisecond(tmp_path: Path) -> None:
    path, out = tmp_path / "recording.mp4", tmp_path / "out.mp4"
    record(path, 2, 25, clicks(2, [30 * 960], PLAYED_HZ), clicks(2, []), flashes=[30])
    remux(path, out)
    for film in (path, out):
        flash_s = next(at for at, frame in frames_of(film) if frame[:HEIGHT].mean() > 100)
        click_s = peak_near(sound_of(film)[1], 57_600) / 48_000
        assert abs(flash_s - click_s) <= 0.001


def test_output_says_what_its_colours_are_and_starts_at_once(tmp_path: Path) -> None:
    import av

    path, out = tmp_path / "recording.mp4", tmp_path / "out.mp4"
    record(path, 1, 25, clicks(1, [], PLAYED_HZ), clicks(1, []), stereo=False)
    remux(path, out)
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(out)) as film:
        picture, sound = film.streams.video[0].codec_context, film.streams.audio[0].codec_context
        assert (picture.name, picture.pix_fmt, picture.colorspace, picture.color_range) == (
            "h264",
            "yuv420p",
            1,
            1,
        )
        assert (sound.name, sound.channels) == ("aac", 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "recording.mp4"]


def test_mono_holds_both_voices_and_never_clips(tmp_path: Path) -> None:
    path = tmp_path / "r.mp4"
    record(path, 1, 25, clicks(1, [12_000], PLAYED_HZ), clicks(1, [12_000]), stereo=False)
    (sound,) = sound_of(path)
    assert abs(peak_near(sound, 24_000) - 24_000) <= 1
    assert abs(peak_near(sound, 36_000) - 36_000) <= 1
    loud = soft_limit(np.linspace(-2, 2, 999, dtype=np.float32))
    assert np.abs(loud).max() <= 1 and np.all(np.diff(loud) >= 0)
    quiet = np.linspace(-0.79, 0.79, 99, dtype=np.float32)
    assert np.array_equal(soft_limit(quiet), quiet)


def test_skipped_units_leave_silence_and_nothing_moves(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r.mp4", width=WIDTH, height=HEIGHT, fps=25, stereo=True)
    caller = clicks(2, [20_000])
    recorder.put(unit(3, luma=60), caller[: slice_end(3, 25)])
    recorder.put(
        unit(40, pcm=clicks(0.04, [480], PLAYED_HZ), luma=200), caller[slice_end(3, 25) : slice_end(40, 25)]
    )
    recorder.close()
    left, right = sound_of(tmp_path / "r.mp4")
    assert abs(peak_near(left, 60_000) - 60_000) <= 1
    assert abs(peak_near(right, (40 * 960 + 480) * 2) - (40 * 960 + 480) * 2) <= 1
    shown = frames_of(tmp_path / "r.mp4")
    assert shown[0][0] == 0.0 and shown[-1][0] == pytest.approx(1.6)


def test_an_encoder_that_is_behind_loses_frames_never_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "WAITING_FRAMES", 5)
    encode = recorder_module.FragmentedMp4.picture

    def slow(self, frame, index):
        time.sleep(0.02)
        encode(self, frame, index)

    monkeypatch.setattr(recorder_module.FragmentedMp4, "picture", slow)
    at = [5_000, 20_000, 44_000]
    done = record(tmp_path / "r.mp4", 2, 25, clicks(2, at, PLAYED_HZ), clicks(2, []))
    _, right = sound_of(tmp_path / "r.mp4")
    assert all(abs(peak_near(right, p * 2) - p * 2) <= 1 for p in at)
    shown = frames_of(tmp_path / "r.mp4")
    assert done.dropped_frames > 0
    assert len(shown) - (50 - done.dropped_frames) in (0, 1), "one more where the first frame is shown early"
    assert all((at * 25) == pytest.approx(round(at * 25)) for at, _ in shown), (
        "what is shown is shown in time"
    )


CHILD = """
    import sys, time, numpy as np
    from pathlib import Path
    from cvi.transport.base import AVUnit
    from cvi.media.recorder import Recorder
    recorder = Recorder(Path(sys.argv[1]), width=320, height=180, fps=25)
    noise = np.random.default_rng(1)
    for index in range(10_000):
        frame = noise.integers(16, 235, (270, 320), dtype=np.uint8)
        recorder.put(AVUnit(index, index / 25, frame, np.full(960, 3000, np.int16)), np.zeros(640, np.int16))
        print(index, flush=True)
        time.sleep(0.004)
"""


def test_after_kill_9_everything_up_to_the_last_second_plays(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    last = 0
    for line in child.stdout:
        last = int(line)
        if last >= 150:
            break
    time.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    frames, sound = frames_of(path), sound_of(path)
    assert frames[-1][0] >= last / 25 - 1.0
    assert sound.shape[1] / 48_000 >= last / 25 - 1.0
    remux(path, tmp_path / "out.mp4")
    assert frames_of(tmp_path / "out.mp4")[-1][0] == pytest.approx(frames[-1][0])


FULL_DISK = """
    import resource, sys, time, numpy as np
    from pathlib import Path
    from cvi.errors import CviError
    from cvi.transport.base import AVUnit
    from cvi.media.encode import remux
    from cvi.media.recorder import Recorder
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
    told = []
    recorder = Recorder(Path(sys.argv[1]), width=320, height=180, fps=25, on_failure=told.append)
    noise = np.random.default_rng(1)
    for index in range(100):
        frame = noise.integers(16, 235, (270, 320), dtype=np.uint8)
        recorder.put(AVUnit(index, index / 25, frame, np.zeros(960, np.int16)), np.zeros(640, np.int16))
        time.sleep(0.02)  # twice as fast as life: frames that cannot wait are left out, and then it all fits
    try:
        recorder.close()
    except CviError as error:
        print(error)
    recorder.close()
    print(len(told))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 2_000_000))
    try:
        remux(Path(sys.argv[1]), Path(sys.argv[1]).parent / "out.mp4")
    except CviError as error:
        print(error)
"""


def test_a_full_disk_is_one_clear_error_and_no_half_output(tmp_path: Path) -> None:
    path = tmp_path / "recording.mp4"
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    first, told, second = run.stdout.strip().splitlines()
    assert run.returncode == 0
    assert f"Cannot write {path}" in first and "The disk is full" in first
    assert told == "1"
    assert "Cannot write" in second and "The disk is full" in second
    assert [p.name for p in tmp_path.iterdir()] == ["recording.mp4"]
    assert frames_of(path), "what was recorded before plays"


def test_outputs_that_cannot_be_are_refused_before_the_conversation(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "a.avi", "only MP4"),
        (tmp_path / "no" / "a.mp4", "does not exist"),
        (tmp_path, "only MP4"),
    ):
        with pytest.raises(UsageError, match=said):
            check_output(path)
    with pytest.raises(CviError):
        remux(tmp_path / "absent.mp4", tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*.mp4"))
    assert slice_end(2, 24) == HEARD_HZ // 8
