"""The live transport on virtual devices: a PulseAudio null sink, a virtual screen."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cvi.audio.block import PLAYED_HZ, AudioBlock
from cvi.clock import Clock
from cvi.errors import MissingError, UsageError
from cvi.testing.contracts.transport import check_transport
from cvi.transport.live_recording import LiveRecording
from cvi.transport.local import LocalTransport
from tests.recordings import HEIGHT, WIDTH, frames_of, grey, sound_of, tone, unit, write_wav


@pytest.fixture(scope="module")
def null_sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A sound server of our own whose loudspeaker is heard by its microphone."""
    if not (shutil.which("pulseaudio") and shutil.which("pactl")):
        pytest.skip("pulseaudio is not installed")
    try:
        import sounddevice
    except OSError:
        pytest.skip("PortAudio is not installed")
    folder = tmp_path_factory.mktemp("pulse")
    folder.chmod(0o700)
    socket = folder / "native"
    before = dict(os.environ)
    os.environ |= {
        "PULSE_RUNTIME_PATH": str(folder),
        "PULSE_STATE_PATH": str(folder),
        "PULSE_SERVER": f"unix:{socket}",
    }
    server = subprocess.Popen(
        [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
            "-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1",
            "-L", "module-null-sink sink_name=room rate=48000",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], capture_output=True).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.skip("pulseaudio does not run here")
            time.sleep(0.05)
        sounddevice._terminate()
        sounddevice._initialize()
        if not any(device["name"] == "pulse" for device in sounddevice.query_devices()):
            pytest.skip("PortAudio has no way to PulseAudio (libasound2-plugins)")
        yield
    finally:
        server.terminate()
        server.wait(10)
        os.environ.clear()
        os.environ.update(before)


def live(**options) -> LocalTransport:
    settings = {"speaker": "pulse", "microphone": "pulse", "window": False, "headphones": True}
    return LocalTransport(clock=Clock(), width=WIDTH, height=HEIGHT, **(settings | options))


async def converse(
    t: LocalTransport, units: int, loud: range, cut_after: int | None = None
) -> list[AudioBlock]:
    """Present units, a tone in those of `loud`; returns what the microphone gave."""
    blocks: list[AudioBlock] = []
    await t.open()

    async def listen() -> None:
        blocks.extend([block async for block in t.microphone()])

    t._clock.restart()
    listening = asyncio.create_task(listen())
    wave = tone(units / 25, hz=PLAYED_HZ)
    for index in range(units):
        await t.due(index)
        t.present(
            unit(index, pcm=wave[index * 960 : (index + 1) * 960] if index in loud else None, generation=1)
        )
        if index == cut_after:
            t.flush()
    await asyncio.sleep(0.4)
    t.leave()
    await asyncio.wait_for(listening, 5)
    return blocks


def loud_s(blocks: list[AudioBlock]) -> np.ndarray:
    return np.array([block.start_s for block in blocks if np.abs(block.pcm.astype(int)).max() > 2000])


async def test_contract(null_sink: None) -> None:
    await check_transport(live())


async def test_what_is_played_is_heard_when_the_transport_says(null_sink: None) -> None:
    t = live()
    blocks = await converse(t, 40, range(10, 20))
    await t.close()
    heard = loud_s(blocks)
    # The sound server's own buffering on both ways stands between; the length is exact.
    assert 0.3 <= heard[0] <= 0.8
    assert heard[-1] - heard[0] == pytest.approx(0.4, abs=0.06)
    assert t.heard_s() <= 40 / 25 + 0.001


async def test_a_cut_drops_what_waits(null_sink: None) -> None:
    t = live()
    blocks = await converse(t, 20, range(0, 13), cut_after=12)
    await t.close()
    played_s = len(loud_s(blocks)) * 0.01
    # 13 units are 0.52 s; of the last 120 ms nothing, but what the device itself held, is heard.
    assert played_s < 0.52 - 0.05


async def test_without_a_canceller_the_microphone_is_silent_while_the_persona_is_heard(
    null_sink: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    t = live(headphones=False)
    said: list[tuple[str, str]] = []
    t.notify = lambda event, text="": said.append((event, text))  # type: ignore[method-assign]
    blocks = await converse(t, 30, range(5, 20))
    await t.close()
    assert t.counts["gated_blocks"] > 50
    assert not len(loud_s(blocks))
    assert any(event == "notice" and "headphones" in text for event, text in said)


async def test_with_a_loudspeaker_its_echo_is_taken_out(null_sink: None) -> None:
    t = live(headphones=False)
    await converse(t, 30, range(5, 20))
    await t.close()
    assert t.echo_report is not None
    assert t.half_duplex is not t.echo_report.safe


async def test_mute_silences_the_microphone(null_sink: None) -> None:
    t = live()
    t._control("mute")
    blocks = await converse(t, 10, range(10))
    await t.close()
    assert blocks and not len(loud_s(blocks))


async def test_a_recording_may_stand_in_for_the_microphone(null_sink: None, tmp_path: Path) -> None:
    t = live(microphone=write_wav(tmp_path / "a.wav", tone(0.5)), headphones=False)
    blocks = await converse(t, 20, range(20))
    assert t.caller_over
    await t.close()
    assert len(loud_s(blocks)) == 50, "a recording cannot hear the loudspeaker, so nothing is silenced"


async def test_a_live_conversation_is_recorded(null_sink: None, tmp_path: Path) -> None:
    t = live(recording=tmp_path / "r.mp4", output=tmp_path / "out.mp4", stereo=True)
    await converse(t, 30, range(10, 20))
    await t.close()
    caller, persona = sound_of(tmp_path / "out.mp4")
    assert np.abs(persona[round(0.45 * 48_000) : round(0.75 * 48_000)]).max() > 0.2
    assert np.abs(persona[: round(0.38 * 48_000)]).max() < 0.02
    assert np.abs(caller).max() > 0.1, "the null sink's monitor hears it"
    assert len(frames_of(tmp_path / "out.mp4")) == 30


async def test_wrong_devices_are_named(null_sink: None) -> None:
    with pytest.raises(UsageError, match="loudspeaker 'no such thing'"):
        await live(speaker="no such thing").open()
    with pytest.raises(UsageError, match="microphone 'no such thing'"):
        await live(microphone="no such thing").open()
    with pytest.raises(MissingError, match="Camera 97"):
        await live(camera=97).open()


async def test_without_a_display_the_error_says_what_to_do(
    null_sink: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingError, match="--no-window"):
        await live(window=True).open()


async def test_without_portaudio_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingError, match="libportaudio2"):
        await live().open()


def test_only_what_was_heard_is_recorded_of_a_cut_reply(tmp_path: Path) -> None:
    log = LiveRecording(tmp_path / "r.mp4", None, width=WIDTH, height=HEIGHT, fps=25, stereo=True)
    log.open(None)
    loud = np.full(960, 9000, np.int16)
    for index in range(10):
        log.presented(unit(index, pcm=loud), heard_s=index / 25 - 0.12)
        log.heard(AudioBlock(np.full(640, 3000, np.int16), index / 25))
    log.cut(0.25)
    for index in range(10, 20):
        log.presented(unit(index), heard_s=index / 25 - 0.12)
    log.close()
    caller, persona = sound_of(tmp_path / "r.mp4")
    assert np.abs(persona[11_000]) > 0.2 and np.abs(persona[round(0.262 * 48_000) :]).max() < 0.02
    assert caller[10_000] == pytest.approx(3000 / 32768, abs=0.02)


def step(behind_s: float, loud: bool) -> list[float]:
    """The start times written for one unit that is `behind_s` late."""
    t = LocalTransport.__new__(LocalTransport)
    t.fps = 25
    t._ahead_s = 0.06
    written: list[float] = []

    class Speaker:
        def write(self, start_s: float, pcm: np.ndarray) -> None:
            written.append(start_s)

    t._speaker = Speaker()  # type: ignore[assignment]
    t._keep_step(unit(5, pcm=np.full(960, 500 if loud else 0, np.int16)), behind_s)
    return written


def test_only_silence_makes_up_for_a_clock_that_is_off() -> None:
    assert len(step(0.0, loud=False)) == 1
    assert len(step(0.09, loud=False)) == 0
    assert len(step(-0.09, loud=False)) == 2
    assert len(step(0.09, loud=True)) == len(step(-0.09, loud=True)) == 1


def test_grey_is_i420() -> None:
    assert grey(5).shape == (HEIGHT * 3 // 2, WIDTH)
