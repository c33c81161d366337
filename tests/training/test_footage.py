"""Films of all kinds become upright frames at a fixed rate, or a sentence about what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from films import HEIGHT, WIDTH, grey_of, make_film, turned

from cvi.errors import UsageError
from cvi.training.footage import reader as footage_module
from cvi.training.footage.reader import open_footage


def numbers(path: Path, fps: float, **options: float) -> list[int]:
    """Which frame of the film each frame is."""
    found = []
    for frame in open_footage(path).frames(fps, **options):
        grey = float(frame.rgb.mean())
        found.append(min(range(60), key=lambda number: abs(grey_of(number) - grey)))
    return found


def test_a_film_at_its_own_rate_gives_every_frame_once(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 25 for n in range(5)])
    footage = open_footage(film)
    assert (footage.width, footage.height, footage.rotation) == (WIDTH, HEIGHT, 0)
    assert footage.fps == pytest.approx(25) and footage.working_fps == 25
    assert footage.duration_s == pytest.approx(0.2, abs=0.01)
    assert not footage.has_sound
    assert numbers(film, 25) == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in footage.frames(25)] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


def test_a_rate_that_varies_is_made_even_by_the_nearest_frame(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [0.0, 0.04, 0.2, 0.24])
    found = list(open_footage(film).frames(25))
    assert numbers(film, 25)[:7] == [0, 1, 1, 1, 2, 2, 3]
    assert found[2].source_s == found[1].source_s == pytest.approx(0.04, abs=0.002)


def test_sixty_frames_a_second_are_thinned(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 60 for n in range(12)], rate=60)
    assert open_footage(film).working_fps == 30
    assert numbers(film, 30) == [0, 2, 4, 6, 8, 10]


def test_a_part_of_a_film_has_the_whole_films_indices(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 25 for n in range(40)])
    part = list(open_footage(film).frames(25, start_s=0.4, end_s=0.6))
    assert [frame.index for frame in part] == [10, 11, 12, 13, 14]
    assert numbers(film, 25, start_s=0.4, end_s=0.6) == [10, 11, 12, 13, 14]


def test_a_phones_film_is_turned_upright(tmp_path: Path) -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[:, : WIDTH // 4] = 255  # white on the left as it is stored: on top as it is seen
    film = turned(make_film(tmp_path / "a.mp4", [0.0, 0.04], pictures=[picture, picture]))
    footage = open_footage(film)
    assert (footage.width, footage.height) == (HEIGHT, WIDTH)
    frame = next(footage.frames(25)).rgb
    assert frame.shape == (WIDTH, HEIGHT, 3)
    assert frame[: WIDTH // 5].mean() > 240 and frame[WIDTH // 2 :].mean() < 15


def test_large_pictures_are_made_smaller(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [0.0, 0.04], size=(1024, 512))
    frame = next(open_footage(film).frames(25, most_side_px=256))
    assert frame.rgb.shape == (128, 256, 3)


def test_the_sound_comes_as_16_khz_mono(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 25 for n in range(25)], sound_s=1.0)
    footage = open_footage(film)
    assert footage.has_sound
    pcm = footage.sound()
    assert pcm.dtype == np.int16 and abs(len(pcm) - 16000) < 2000
    assert np.abs(pcm).max() > 4000


def test_frames_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 25 for n in range(50)])
    frames = open_footage(film).frames(25)
    assert next(frames).index == 0
    frames.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no file"), (b"", "empty"), (b"not a film at all" * 99, "not a film")],
)
def test_other_files_are_refused_as_films(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "a.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=said) as caught:
        open_footage(path)
    assert "film" in caught.value.remedy or content is None
    assert "wav" not in caught.value.remedy


def test_sound_alone_is_no_film(tmp_path: Path) -> None:
    from cvi.media.decode import write_wav

    path = tmp_path / "a.wav"
    write_wav(path, np.zeros(16000, np.int16), 16000)
    with pytest.raises(UsageError, match="no picture"):
        open_footage(path)


def test_a_folder_is_no_film(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a file"):
        open_footage(tmp_path)


def test_a_film_of_hours_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 25 for n in range(50)])
    monkeypatch.setattr(footage_module, "LONGEST_S", 1.0)
    with pytest.raises(UsageError, match="minutes long") as caught:
        open_footage(film)
    assert "Cut out" in caught.value.remedy


def test_a_film_that_does_not_say_how_long_it_is_is_measured_no_further_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As browsers write them: nothing in the head tells the length."""
    whole = make_film(tmp_path / "a.mkv", [n / 5 for n in range(50)], rate=5)
    data = bytearray(whole.read_bytes())
    at = data.find(b"\x44\x89\x88")  # Duration, a float of eight bytes
    assert at > 0
    data[at + 3 : at + 11] = bytes(8)
    film = tmp_path / "b.mkv"
    film.write_bytes(data)
    assert open_footage(film).duration_s == pytest.approx(10.0, abs=0.3)
    read = []
    packets = footage_module.packets
    counted = lambda film, stream: (read.append(1) or packet for packet in packets(film, stream))  # noqa: E731
    monkeypatch.setattr(footage_module, "packets", counted)
    monkeypatch.setattr(footage_module, "LONGEST_S", 2.0)
    with pytest.raises(UsageError, match="minutes long or more"):
        open_footage(film)
    assert len(read) < 25


def test_4k_at_60_frames_is_scaled_and_halved(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 60 for n in range(6)], size=(3840, 2160), rate=60)
    footage = open_footage(film)
    assert (footage.width, footage.height, footage.working_fps) == (3840, 2160, 30)
    frames = list(footage.frames(footage.working_fps))
    assert len(frames) == 3 and frames[0].rgb.shape == (1080, 1920, 3)


def test_sound_in_an_unknown_codec_counts_as_none(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 25 for n in range(25)], sound_s=1.0)
    film.write_bytes(film.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"zzzy"))
    footage = open_footage(film)
    assert len(list(footage.frames(25))) == 25
    if footage.has_sound:
        with pytest.raises(UsageError, match="sound"):
            footage.sound()


def test_a_film_cut_off_in_the_middle_ends_there(tmp_path: Path) -> None:
    whole = make_film(tmp_path / "a.mkv", [n / 25 for n in range(50)])
    data = whole.read_bytes()
    cut = tmp_path / "b.mkv"
    cut.write_bytes(data[: len(data) // 2])
    found = list(open_footage(cut).frames(25))
    assert 0 < len(found) < 50


def test_an_unknown_codec_is_reported(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mp4", [n / 25 for n in range(5)])
    film.write_bytes(film.read_bytes().replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    with pytest.raises(UsageError) as caught:
        open_footage(film)
    assert "decoded" in str(caught.value) and "H.264" in caught.value.remedy
