import tracemalloc
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from cvi.errors import CviError, UsageError
from cvi.media import decode as files
from cvi.media.decode import is_silent, probe, read_audio, stream_audio, write_wav


def tone(rate, seconds=1.0, hz=440.0, amplitude=0.5):
    turns = hz * np.arange(round(rate * seconds)) / rate
    return (32767 * amplitude * np.sin(2 * np.pi * turns)).astype(np.int16)


def encode(path, codec, rate, pcm, *, picture=False, cover=False, delay_s=0.0):
    """Encode int16 (n, channels); `delay_s` starts the sound later than the picture."""
    layout = "mono" if pcm.shape[1] == 1 else "stereo"
    with av.open(str(path), "w") as container:
        sound = container.add_stream(codec, rate=rate, layout=layout)
        image = None
        if picture:
            image = container.add_stream("libx264" if path.suffix == ".mp4" else "libvpx", rate=25)
            image.width, image.height, image.pix_fmt = 64, 48, "yuv420p"
            for i in range(25):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * i, np.uint8), "rgb24")
                frame.pts = i
                container.mux(image.encode(frame))
            container.mux(image.encode(None))
        wanted = sound.codec_context.format.name
        fit = av.AudioResampler(format=wanted, layout=layout, rate=rate)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm).reshape(1, -1), "s16", layout)
        frame.sample_rate = rate
        fifo, written = av.AudioFifo(), 0
        for part in fit.resample(frame):
            fifo.write(part)
        while part := fifo.read(sound.codec_context.frame_size or 1024, partial=True):
            part.pts = written + round(delay_s * rate)
            written += part.samples
            container.mux(sound.encode(part))
        container.mux(sound.encode(None))


def assert_is_tone(pcm, hz=440.0, seconds=1.0, rate=16_000, slack_s=0.12, amplitude=0.5):
    assert pcm.dtype == np.int16 and pcm.ndim == 1
    assert len(pcm) / rate == pytest.approx(seconds, abs=slack_s)
    middle = pcm[len(pcm) // 4 : -len(pcm) // 4].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * rate / len(middle) == pytest.approx(hz, abs=5)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(32767 * amplitude / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels", "picture"),
    [
        ("a.wav", "pcm_s16le", 8_000, 1, False),
        ("a.wav", "pcm_s16le", 96_000, 2, False),
        ("a.flac", "flac", 44_100, 2, False),
        ("a.mp3", "libmp3lame", 44_100, 2, False),
        ("a.ogg", "libopus", 48_000, 2, False),
        ("a.opus", "libopus", 48_000, 1, False),
        ("a.mp4", "aac", 48_000, 2, True),
        ("a.webm", "libopus", 48_000, 2, True),
    ],
)
def test_any_container(tmp_path, name, codec, rate, channels, picture):
    path = tmp_path / name
    encode(path, codec, rate, np.stack([tone(rate)] * channels, axis=1), picture=picture)
    assert_is_tone(read_audio(path))
    info = probe(path)
    assert info.has_audio and info.has_video == picture
    assert info.sample_rate == rate
    assert info.duration_s == pytest.approx(1.0, abs=0.15)
    assert (info.width, info.height, info.fps) == ((64, 48, 25.0) if picture else (0, 0, 0.0))
    assert not is_silent(path)


def test_channels_are_mixed_and_the_rate_is_the_callers(tmp_path):
    path = tmp_path / "two.wav"
    write_wav(path, np.stack([tone(48_000), np.zeros(48_000, np.int16)], axis=1), 48_000)
    assert_is_tone(read_audio(path, 24_000), rate=24_000, slack_s=0.001, amplitude=0.25)
    six = tmp_path / "six.wav"
    write_wav(six, np.stack([tone(48_000)] * 6, axis=1), 48_000)
    assert len(read_audio(six)) == pytest.approx(16_000, abs=20)


def test_sound_that_begins_after_the_picture_begins_with_silence(tmp_path):
    path = tmp_path / "late.mp4"
    encode(path, "aac", 48_000, tone(48_000)[:, None], picture=True, delay_s=0.5)
    pcm = read_audio(path)
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 3000)
    assert loud[0] / 16_000 == pytest.approx(0.5, abs=0.05)


def test_streaming_holds_little_memory_and_a_long_file_is_refused_early(tmp_path):
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8_000, 0, "NONE", ""))
        for _ in range(20):
            sound.writeframes(np.random.default_rng(0).integers(-3000, 3000, 480_000).astype("<i2").tobytes())
    next(stream_audio(path))
    tracemalloc.start()
    total = sum(len(piece) for piece in stream_audio(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == pytest.approx(20 * 60 * 16_000, abs=100)
    assert peak < 2_000_000
    taken = []
    original = files.stream_audio
    try:
        files.stream_audio = lambda *a: (taken.append(len(p)) or p for p in original(*a))
        with pytest.raises(UsageError, match="more than 10 s"):
            read_audio(path, max_s=10.0)
    finally:
        files.stream_audio = original
    assert sum(taken) < 11 * 16_000
    assert len(read_audio(path, max_s=1200.1)) == total


def test_what_cannot_be_heard_is_told(tmp_path):
    nothing = tmp_path / "empty.wav"
    nothing.touch()
    text = tmp_path / "text.mp3"
    text.write_text("this is not sound, not at all. " * 100)
    headed = tmp_path / "headed.wav"
    write_wav(headed, np.zeros(0, np.int16), 16_000)
    mute = tmp_path / "mute.mp4"
    with av.open(str(mute), "w") as container:
        image = container.add_stream("libx264", rate=25)
        image.width, image.height, image.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(image.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(image.encode(None))
    for path, said in [
        (tmp_path / "absent.wav", "There is no file"),
        (tmp_path, "not a file"),
        (nothing, "is empty"),
        (text, "text.mp3"),
        (headed, "no sound"),
        (mute, "no sound track"),
    ]:
        with pytest.raises(UsageError, match=said) as caught:
            read_audio(path)
        assert caught.value.remedy and caught.value.exit_status == 2
    assert not probe(mute).has_audio and probe(mute).has_video


def test_a_cut_off_file_gives_what_is_there(tmp_path):
    path = tmp_path / "whole.mp3"
    encode(path, "libmp3lame", 44_100, tone(44_100, 4.0)[:, None])
    cut = tmp_path / "cut.mp3"
    data = bytearray(path.read_bytes()[: path.stat().st_size // 2])
    data[len(data) // 4 : len(data) // 4 + 700] = bytes(700)
    cut.write_bytes(data)
    assert 1.0 < len(read_audio(cut)) / 16_000 < 2.3


def test_a_recorder_that_never_wrote_the_length(tmp_path):
    path = tmp_path / "live.webm"
    encode(path, "libopus", 48_000, tone(48_000)[:, None])
    data = path.read_bytes()
    at = data.find(b"\x44\x89")
    assert at > 0
    # The element Duration (44 89) becomes a void one (ec) of the same length.
    path.write_bytes(data[:at] + b"\xec" + data[at + 1 :])
    with av.open(str(path)) as container:
        assert not container.duration
    assert probe(path).duration_s == pytest.approx(1.0, abs=0.15)


def test_silence(tmp_path):
    path = tmp_path / "quiet.wav"
    write_wav(path, np.random.default_rng(0).integers(-8, 9, 32_000).astype(np.int16), 16_000)
    assert is_silent(path)
    write_wav(path, np.concatenate([np.zeros(32_000, np.int16), tone(16_000, 0.2)]), 16_000)
    assert not is_silent(path)


def test_wav_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "out.wav"
    write_wav(path, tone(16_000), 16_000)
    assert np.array_equal(read_audio(path), tone(16_000))
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cvi.files.os.fsync", full)
    with pytest.raises(CviError, match="No space left on device"):
        write_wav(path, tone(16_000, 2.0), 16_000)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.wav"]
    with pytest.raises(CviError, match="cannot be written"):
        write_wav(tmp_path / "absent" / "out.wav", tone(16_000), 16_000)


def test_a_real_recording_with_picture():
    clip = Path(__file__).parents[2].parent / "shared" / "media" / "face" / "speech" / "od_english.mp4"
    if not clip.is_file():
        pytest.skip("the test media are not here (../shared/media)")
    info = probe(clip)
    assert (info.width, info.height) == (1080, 720) and info.has_audio
    assert len(read_audio(clip)) / 16_000 == pytest.approx(info.duration_s, abs=0.3)
    assert not is_silent(clip)


def test_a_sample_rate_that_changes_in_mid_file(tmp_path):
    """Two AAC streams one after the other, as some recorders write when a headset is plugged in."""
    for name, rate in (("a.aac", 44_100), ("b.aac", 16_000)):
        encode(tmp_path / name, "aac", rate, tone(rate, 2.0)[:, None])
    joined = tmp_path / "joined.aac"
    joined.write_bytes((tmp_path / "a.aac").read_bytes() + (tmp_path / "b.aac").read_bytes())
    assert_is_tone(read_audio(joined), seconds=4.0, slack_s=0.2)


def test_all_streams_of_a_chained_ogg_file(tmp_path):
    for name, rate in (("a.ogg", 44_100), ("b.ogg", 22_050), ("c.ogg", 44_100)):
        encode(tmp_path / name, "flac", rate, tone(rate, 1.0)[:, None])
    joined = tmp_path / "joined.ogg"
    joined.write_bytes(b"".join((tmp_path / name).read_bytes() for name in ("a.ogg", "b.ogg", "c.ogg")))
    assert_is_tone(read_audio(joined), seconds=3.0, slack_s=0.3)


def test_channels_in_opposite_phase_do_not_cancel(tmp_path):
    left = tone(16_000, 2.0)
    path = tmp_path / "opposite.wav"
    write_wav(path, np.stack([left, -left], axis=1), 16_000)
    assert not is_silent(path)
    assert_is_tone(read_audio(path), seconds=2.0)


def test_two_people_on_two_channels_are_both_heard(tmp_path):
    low, high = tone(16_000, 2.0, hz=300.0), tone(16_000, 2.0, hz=1000.0)
    path = tmp_path / "call.wav"
    write_wav(path, np.stack([low, high], axis=1), 16_000)
    spectrum = np.abs(np.fft.rfft(read_audio(path).astype(float)))
    assert spectrum[600] == pytest.approx(spectrum[2000], rel=0.05)
    assert spectrum[600] > 100 * np.median(spectrum)


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.txt"])
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:2.0,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.wav\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_a_playlist_leads_to_no_other_file(tmp_path, name, text):
    write_wav(tmp_path / "secret.wav", np.full(16_000, 9000, np.int16), 16_000)
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="not a sound"):
        read_audio(tmp_path / name)
