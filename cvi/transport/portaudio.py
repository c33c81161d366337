"""PortAudio, or a sentence about what to install."""

from __future__ import annotations

from typing import Any

from cvi.errors import MissingError, UsageError

Device = int | str | None


def portaudio() -> Any:
    """The `sounddevice` module. Raises MissingError without the system library."""
    try:
        import sounddevice
    except OSError as error:
        raise MissingError(
            "The system library PortAudio is not here, so there is no microphone or loudspeaker.",
            "Install it with: sudo apt-get install libportaudio2",
        ) from error
    return sounddevice


def check_device(device: Device, kind: str) -> None:
    """Raise unless PortAudio has such a device; `kind` is "input" or "output"."""
    sd = portaudio()
    name = "microphone" if kind == "input" else "loudspeaker"
    try:
        sd.query_devices(device, kind)
    except (sd.PortAudioError, ValueError) as error:
        if device is None:
            remedy = f"Connect one and see `cvi devices`, or give a recording: --{name} FILE."
            if kind == "output":
                remedy = "Connect one and see `cvi devices`; `cvi talk CALLER.wav -o OUT.mp4` works without."
            raise MissingError(f"There is no {name} on this machine.", remedy) from error
        raise UsageError(
            f"There is no {name} '{device}'.", "See `cvi devices` for the ones there are."
        ) from error


def open_stream(make: Any, device: Device, name: str, wanted_hz: int, **options: Any) -> tuple[Any, int]:
    """A started stream and its rate: the wanted one, or the device's own where it refuses that.

    `make` is `sounddevice.InputStream` or `OutputStream`; `name` is for the error. Raises MissingError.
    """
    sd = portaudio()
    kind = "input" if make is sd.InputStream else "output"
    own_hz = round(sd.query_devices(device, kind)["default_samplerate"])
    failure: Exception | None = None
    for rate_hz in dict.fromkeys((wanted_hz, own_hz)):
        try:
            stream = make(
                device=device,
                samplerate=rate_hz,
                channels=1,
                dtype="int16",
                blocksize=rate_hz // 100,
                **options,
            )
            stream.start()
        except sd.PortAudioError as error:
            failure = error
        else:
            return stream, rate_hz
    raise MissingError(
        f"The {name} cannot be opened ({failure}).",
        "Close other programs that use it or choose another: `cvi devices`.",
    ) from failure
