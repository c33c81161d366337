"""`cvi perceive`: watch what is perceived of a film or of the camera."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cvi.perception.film import FilmLook, SpokenStretch
    from cvi.perception.sight import Sight


def perceive(
    film: Annotated[
        Path | None, typer.Argument(help="A film with a person in it. Without one: the camera.")
    ] = None,
    camera: Annotated[
        int | None, typer.Option(help="A camera's number, see `cvi devices`; the first one without it.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Of a film: a film with the overlay (.mp4).")
    ] = None,
    shots: Annotated[
        Path | None, typer.Option(help="A folder for one picture with the overlay at each change.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Stop after so many.")] = 3600.0,
    emotion: Annotated[
        bool, typer.Option("--emotion", help="Name expressions too, as `emotion_recognition` does.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a look, for machines.")] = False,
) -> None:
    """What is seen and heard of a person, as a conversation would: a line at each change.

    Of a film or, live, of the camera. Pictures are kept only where --output or --shots ask for it.
    """
    from cvi.errors import UsageError
    from cvi.media.encode import check_output
    from cvi.perception.film import FilmVoice
    from cvi.perception.looker import build_looker

    if film is not None and camera is not None:
        raise UsageError("A film and a camera were given.", "Leave out one of them.")
    if film is None and output is not None:
        raise UsageError("--output is for films.", "Give a film, or use --shots with the camera.")
    if output is not None:
        check_output(output)
    voice = FilmVoice(film) if film is not None else None
    looker = build_looker()
    shown = _Shown(output, shots, emotion, json)
    try:
        for look in _film_looks(film, looker) if film is not None else _camera_looks(camera, looker):
            if look.sight.t_s > seconds:
                break
            for said in voice.until(look.sight.t_s) if voice is not None else ():
                shown.said(said)
            shown.look(look)
    except KeyboardInterrupt:
        pass
    finally:
        looker.close()
        shown.close()


class _Shown:
    """What is printed and drawn of looks and of speech."""

    def __init__(self, output: Path | None, shots: Path | None, emotion: bool, json: bool) -> None:
        from cvi.perception.wording import Describer

        self._film = _OverlayFilm(output) if output is not None else None
        self._shots = shots
        self._emotion = emotion
        self._json = json
        self._describer = Describer()
        self._before = ""

    def said(self, said: SpokenStretch) -> None:
        """A line for a stretch of speech."""
        if self._json:
            return
        figures = f"{said.voice.pitch_hz:.0f} Hz, {said.voice.syllables_per_s:.1f} syllables/s"
        length_s = said.end_s - said.start_s
        typer.echo(f"{said.start_s:7.1f} s  speaks for {length_s:.1f} s, {figures}. {said.text}")

    def look(self, look: FilmLook) -> None:
        """A line and a picture where something changed; a frame of the overlay's film in any case."""
        from dataclasses import asdict
        from json import dumps

        from cvi.perception.overlay import draw_overlay

        sight, text = look.sight, self._text(look.sight)
        changed = _key(text) != _key(self._before) and bool(text)
        if self._json:
            typer.echo(dumps({**_rounded(asdict(sight)), "text": text}))
        elif changed:
            typer.echo(f"{sight.t_s:7.1f} s  {text}")
        if self._film is not None or (changed and self._shots is not None):
            picture = draw_overlay(look.rgb, sight, look.landmarks, text, look.hands)
            if self._film is not None:
                self._film.write(picture, look.index)
            if changed and self._shots is not None:
                _save(picture, self._shots / f"{sight.t_s:07.2f}.png")
        self._before = text or self._before

    def _text(self, sight: Sight) -> str:
        text = self._describer.describe(sight)
        if self._emotion and sight.calibrated and sight.present:
            named = self._describer.name(sight)
            text += f" Expression: {named.name} ({named.confidence:.0%})."
        return text

    def close(self) -> None:
        """Finish the film."""
        if self._film is not None:
            self._film.close()


def _key(text: str) -> str:
    return text.partition(" Expression: ")[0] + text.partition(" Expression: ")[2].partition(" (")[0]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def _film_looks(film: Path, looker: Any) -> Iterator[FilmLook]:
    from cvi.perception.film import look_at_film

    return look_at_film(film, looker)


def _camera_looks(number: int | None, looker: Any) -> Iterator[FilmLook]:
    import time

    from cvi.errors import MissingError
    from cvi.perception.film import LOOKS_PER_S, FilmLook
    from cvi.perception.looker import MOST_SIDE_PX
    from cvi.transport.camera import Webcam
    from cvi.transport.devices import cameras

    if number is None:
        found = cameras()
        if not found:
            raise MissingError("There is no camera on this machine.", "Give a film, or plug a camera in.")
        number = found[0].number
    webcam = Webcam(number, (MOST_SIDE_PX, MOST_SIDE_PX))
    began_s, index, count = time.monotonic(), 0, -1
    try:
        while True:
            rgb = webcam.rgb(MOST_SIDE_PX) if webcam.count != count else None
            count = webcam.count
            sight = looker.look(rgb, time.monotonic() - began_s)
            if looker.rgb is not None:
                yield FilmLook(index, sight, looker.rgb, looker.face.landmarks, looker.hands)
            index += 1
            time.sleep(max(0.0, began_s + index / LOOKS_PER_S - time.monotonic()))
    finally:
        webcam.close()


def _save(picture: Any, path: Path) -> None:
    import cv2

    from cvi.files import write_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    _, png = cv2.imencode(".png", picture[:, :, ::-1])
    write_bytes(path, png.tobytes())


class _OverlayFilm:
    """The overlay's pictures as a film, at the rate of the looks."""

    def __init__(self, output: Path) -> None:
        from cvi.files import part_path

        self._output = output
        self._part = part_path(output)
        self._file: Any = None

    def write(self, picture: Any, index: int) -> None:
        import cv2
        import numpy as np

        from cvi.media.encode import SOUND_HZ, FragmentedMp4
        from cvi.perception.film import LOOKS_PER_S

        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if self._file is None:
            self._fps = round(LOOKS_PER_S)
            self._size = (width, height)
            self._file = FragmentedMp4(self._part, width=width, height=height, fps=self._fps, channels=1)
        if (width, height) != self._size:
            picture = cv2.resize(picture, self._size)
        i420 = cv2.cvtColor(
            np.ascontiguousarray(picture[: self._size[1], : self._size[0]]), cv2.COLOR_RGB2YUV_I420
        )
        self._file.picture(i420, index)
        self._file.sound(np.zeros((SOUND_HZ // self._fps, 1), np.float32))

    def close(self) -> None:
        from cvi.media.encode import remux

        if self._file is None:
            return
        self._file.close()
        try:
            remux(self._part, self._output)
        finally:
            self._part.unlink(missing_ok=True)
