"""The file transport as a conversation uses it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest

from cvi.errors import UsageError
from cvi.testing.contracts.transport import check_transport
from cvi.transport.file import FileTransport
from cvi.transport.scenario import Scenario, Segment
from tests.recordings import (
    HEARD_HZ,
    HEIGHT,
    PLAYED_HZ,
    WIDTH,
    FastClock,
    SetClock,
    clicks,
    frames_of,
    grey,
    peak_near,
    sound_of,
    tone,
    unit,
    write_wav,
)


def transport(caller, folder: Path, **options) -> FileTransport:
    settings = {"clock": FastClock(), "width": WIDTH, "height": HEIGHT, "recording": folder / "recording.mp4"}
    return FileTransport(caller, folder / "out.mp4", **(settings | options))


async def play(t: FileTransport, units: int, persona: np.ndarray | None = None, luma: int = 60) -> None:
    t._clock.restart()
    for index in range(units):
        await t.due(index)
        piece = None if persona is None else persona[index * 960 : (index + 1) * 960]
        t.present(unit(index, pcm=piece, luma=luma))


async def hear(t: FileTransport) -> np.ndarray:
    blocks = [block async for block in t.microphone()]
    assert all(len(b.pcm) == 160 and b.start_s == pytest.approx(i * 0.01) for i, b in enumerate(blocks))
    return np.concatenate([block.pcm for block in blocks])


async def test_contract(tmp_path: Path) -> None:
    await check_transport(transport(write_wav(tmp_path / "a.wav", tone(0.5)), tmp_path))


@pytest.mark.parametrize("hz", [8_000, 16_000, 96_000])
async def test_a_conversation_is_recorded_with_both_voices_in_time(tmp_path: Path, hz: int) -> None:
    caller = write_wav(tmp_path / "a.wav", clicks(1.5, [hz // 2, hz], hz), hz)
    t = transport(caller, tmp_path, stereo=True)
    await t.open()
    t._clock.restart()  # opening may have taken long
    ears = asyncio.create_task(hear(t))
    await play(t, 50, clicks(2, [30_000], PLAYED_HZ))
    assert t.caller_over
    t.leave()
    heard = await ears
    await t.close()
    await t.close()
    assert heard[HEARD_HZ // 2] > 2_000 and not heard[HEARD_HZ * 3 // 2 + 2 :].any(), (
        "silence follows the file"
    )
    left, right = sound_of(tmp_path / "out.mp4")
    within = 1 if hz == HEARD_HZ else 3  # one sample of the 16 kHz between
    assert abs(peak_near(left, 24_000) - 24_000) <= within
    assert abs(peak_near(left, 48_000) - 48_000) <= within
    assert abs(peak_near(right, 60_000) - 60_000) <= 1
    assert len(frames_of(tmp_path / "out.mp4")) == 50


async def test_block_i_comes_when_it_is_over_and_not_before(tmp_path: Path) -> None:
    t = transport(write_wav(tmp_path / "a.wav", tone(1)), tmp_path)
    await t.open()
    t._clock.restart()
    count = 0
    async for block in t.microphone():
        assert t._clock.now() >= block.end_s - 1e-6
        count += 1
        if count == 60:
            t.leave()
    await t.close()
    assert count == 60


async def test_a_cut_is_not_heard_in_the_recording(tmp_path: Path) -> None:
    caller = write_wav(tmp_path / "a.wav", tone(0.1, level=1))
    clock = SetClock()
    t = transport(caller, tmp_path, stereo=True, clock=clock)
    await t.open()
    loud = np.full(960, 9000, np.int16)
    for index in range(10):
        clock.set_s = index / 25
        t.present(unit(index, pcm=loud, generation=1))
    clock.set_s = cut_s = 9 / 25 + 0.015
    t.flush()
    clock.set_s += 1
    assert t.heard_s() == cut_s, "nothing more is heard of it"
    t.present(unit(10))
    await t.close()
    _, right = sound_of(tmp_path / "out.mp4")
    assert np.abs(right[round((cut_s - 0.005) * 48_000)]) > 0.1
    assert np.abs(right[round((cut_s + 0.012) * 48_000) :]).max() < 0.02


async def test_with_wait_the_caller_speaks_when_the_reply_has_ended(tmp_path: Path) -> None:
    scenario = Scenario(write_wav(tmp_path / "a.wav", tone(2)), (Segment(0, 0.4), Segment(1, 1.4)))
    t = transport(scenario, tmp_path, wait=True)
    await t.open()
    t._clock.restart()
    ears = asyncio.create_task(hear(t))
    starts = []
    for ended_s in (0.3, 2.0):
        await t._clock.sleep_until(ended_s)
        t.reply_ended()
        starts.append(t._clock.now() + 0.6)
    await t._clock.sleep_until(3.5)
    assert t.caller_over
    t.leave()
    heard = await ears
    await t.close()
    loud = np.flatnonzero(np.abs(heard) > 3000) / HEARD_HZ
    first, second = loud[loud < 2], loud[loud > 2]
    assert (first[0], second[0]) == pytest.approx(starts, abs=0.02)
    assert first[-1] - first[0] == pytest.approx(0.4, abs=0.01)


def write_film(path: Path, seconds: float = 1.0, size: tuple[int, int] = (240, 320)) -> Path:
    """A portrait film, dark in its first half and bright in the second, with a tone."""
    with av.open(str(path), "w") as film:
        picture = film.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
        sound = film.add_stream("aac", rate=16_000, layout="mono")
        for index in range(round(seconds * 25)):
            luma = 40 if index < seconds * 12.5 else 220
            film.mux(picture.encode(av.VideoFrame.from_ndarray(grey(luma, *size), format="yuv420p")))
        block = av.AudioFrame.from_ndarray(tone(seconds)[None, :], format="s16", layout="mono")
        block.sample_rate = 16_000
        for frame in av.AudioResampler(format="fltp", layout="mono", rate=16_000, frame_size=1024).resample(
            block
        ):
            film.mux(sound.encode(frame))
        film.mux(picture.encode(None))
        film.mux(sound.encode(None))
    return path


async def test_the_callers_picture_is_small_in_a_corner_and_in_time(tmp_path: Path) -> None:
    t = transport(write_film(tmp_path / "caller.mp4"), tmp_path, clock=FastClock(2.0))
    await t.open()
    shown = grey(100)
    t._clock.restart()
    for index in range(25):
        await t.due(index)
        moment = unit(index)
        moment.frame[:] = shown
        t.present(moment)
        assert np.array_equal(moment.frame, shown), "the conversation's own frame is left alone"
    await t.close()
    frames = frames_of(tmp_path / "out.mp4")
    width, height = 36, 48  # the 240x320 film in the room of 64x49
    corner = [int(frame[HEIGHT - 6 - height // 2, WIDTH - 6 - width // 2]) for _, frame in frames]
    assert corner[5] == pytest.approx(40, abs=6) and corner[20] == pytest.approx(220, abs=6)
    assert next(i for i, luma in enumerate(corner) if luma > 130) == pytest.approx(12, abs=2)
    assert int(frames[5][1][HEIGHT // 2, WIDTH // 2]) == pytest.approx(100, abs=4)
    assert int(frames[5][1][HEIGHT - 6, WIDTH - 6]) == pytest.approx(100, abs=12), "the corner is rounded off"


async def test_files_that_cannot_be_used_are_refused_when_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        await transport(tmp_path / "absent.wav", tmp_path).open()
    caller = write_wav(tmp_path / "a.wav", tone(0.2))
    with pytest.raises(UsageError, match="does not exist"):
        await transport(caller, tmp_path / "nowhere").open()
