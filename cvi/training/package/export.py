"""A trained network -> a replica's folder: networks, cached features, base film, rig, card.

The base film, which the live face plays, holds frames of the footage and blends of two, at a constant rate,
without reordering, with key frames where playback seeks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from cvi.errors import CviError, UsageError
from cvi.face.neural.base_footage import BaseFilm
from cvi.face.neural.compose import hidden_mask
from cvi.face.neural.decoder import FeatureScales, feature_scales
from cvi.face.neural.eyes import EyeTrack
from cvi.face.neural.rig import BASE, DECODER, FEATURES, RIG, MouthMap, NeuralRig, rig_bytes
from cvi.face.planes import Planes, to_i420, to_rgb
from cvi.face.replica import CARD
from cvi.files import sha256_of, write_bytes
from cvi.media.frames import Frame, av_frame
from cvi.training.arrays import Bytes, Floats
from cvi.training.clips.eye_region import OpenEyes, blink_patches
from cvi.training.clips.transitions import ClipGraphPlan, FilmShot
from cvi.training.footage.face_geometry import crop
from cvi.training.footage.preparation import PREPARED, PreparedFootage, begin_array, prepared_bytes
from cvi.training.footage.reader import Footage, FootageFrame
from cvi.training.model.network import InpaintingNetwork
from cvi.training.model.onnx_network import ENCODER, OnnxEncoder, decoder_bytes, encoder_bytes

WEIGHTS = "weights.safetensors"
EXPORTED = (BASE, DECODER, ENCODER, FEATURES, PREPARED, RIG, WEIGHTS)
"""The files of `export_replica`."""


@dataclass(frozen=True, slots=True)
class ReplicaDescription:
    """Where a replica comes from, for its card. `voices` suit it, by engine; `facts` are plain values stored
    under `training`."""

    name: str
    kind: str
    renderer: str
    source: str
    text: str
    voices: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def export_replica(
    folder: Path,
    network: InpaintingNetwork,
    prepared: PreparedFootage,
    plan: ClipGraphPlan,
    mouth: MouthMap,
    footage: Footage,
    open_eyes: OpenEyes,
    lids: tuple[list[int], np.ndarray],
    eyes: EyeTrack,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Write everything but the card into an empty folder. `open_eyes` and `lids` as `find_eye_closures`
    returns them, `eyes` of every frame of the footage. Raises CviError where the disk refuses.

    Features are computed from the decoded base film, so that the drawing has its colours.
    """
    _write_networks(folder, network)
    shots = plan.shots
    shown = {index for shot in shots for index in (shot.frame, shot.other)}
    wanted = {*shown, *lids[0], *(source for index in shown for source in open_eyes.sources(index))}
    pictures = fetch_frames(footage.frames(prepared.fps), wanted, folder)
    blender = FrameBlender()

    def show(place: int) -> np.ndarray:
        shot = shots[place]
        picture = open_eyes.show(shot.frame, pictures)
        if not shot.share:
            return picture
        return blender.blend(picture, open_eyes.show(shot.other, pictures), shot.share)

    write_base_film(folder / BASE, len(shots), show, prepared.fps, plan.keys)
    frames = [shot.frame for shot in shots if not shot.share]
    rows = {frame: row for row, frame in enumerate(dict.fromkeys(frames))}
    scales = _write_features(folder, prepared, shots, rows, progress)
    rig = NeuralRig(
        size=np.asarray(prepared.size, np.int32),
        fps=prepared.fps,
        matrices=np.stack([_interpolated_matrix(prepared.matrices, shot) for shot in shots]),
        features=np.array([(rows[shot.frame], rows[shot.other]) for shot in shots], np.int32),
        shares=np.array([shot.share for shot in shots], np.float32),
        reach=np.stack([_interpolated(prepared.reach, shot) for shot in shots]),
        side=prepared.side,
        mouth=mouth,
        blink=blink_patches(lids[0], lids[1], open_eyes.eyes, prepared.matrices, pictures),
        eyes=replace(
            eyes,
            lids=np.stack([_interpolated(eyes.lids, shot) for shot in shots]),
            irises=np.stack([_interpolated(eyes.irises, shot) for shot in shots]),
        ),
        clips=plan.graph,
        scales=scales,
    )
    write_bytes(folder / RIG, rig_bytes(rig))
    # For evaluating again: the footage without its pictures.
    write_bytes(folder / PREPARED, prepared_bytes(prepared))


def _write_networks(folder: Path, network: InpaintingNetwork) -> None:
    from safetensors.torch import save

    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(state, {"side": str(network.size.side)}))
    write_bytes(folder / ENCODER, encoder_bytes(network))
    write_bytes(folder / DECODER, decoder_bytes(network))


def _write_features(
    folder: Path,
    prepared: PreparedFootage,
    shots: Sequence[FilmShot],
    rows: dict[int, int],
    progress: Callable[[int, int], None],
) -> FeatureScales:
    """The features of every frame of footage that the film shows, `rows` frame -> row."""
    encoder = OnnxEncoder(folder / ENCODER)
    base = BaseFilm(folder / BASE)
    done = 0
    low: np.ndarray = np.array(np.inf, np.float16)
    high = -low
    try:
        # In half precision first: the scales of the bytes are known at the end only.
        with tempfile.TemporaryFile(dir=folder) as file:
            for place, shot in enumerate(shots):
                if shot.share or rows[shot.frame] < done:
                    continue
                picture = crop(to_rgb(base.frame(place)), prepared.matrices[shot.frame], prepared.side)
                row = encoder.features(picture, hidden_mask(prepared.reach[shot.frame], prepared.side))
                low, high = np.minimum(low, row), np.maximum(high, row)
                file.write(row.tobytes())
                done += 1
                progress(done, len(rows))
            file.flush()
            scales = feature_scales(low.astype(np.float32), high.astype(np.float32), encoder.shapes)
            rows_f16 = np.memmap(file, np.float16, "r", shape=(done, len(low)))
            with (folder / FEATURES).open("wb") as out:
                begin_array(out, rows_f16.shape)
                for row in rows_f16:
                    out.write(scales.bytes_of(row).tobytes())
    except OSError as error:
        raise CviError(
            f"{folder} cannot be written to: {error.strerror or error}.", "Free some space and go on."
        ) from error
    finally:
        base.close()
    return scales


def _interpolated(values: np.ndarray, shot: FilmShot) -> np.ndarray:
    """The values (n, ...) of a shot, interpolated between its two frames."""
    mixed = values[shot.frame] * (1 - shot.share) + values[shot.other] * shot.share
    return np.asarray(mixed, np.float32)


def _interpolated_matrix(matrices: np.ndarray, shot: FilmShot) -> np.ndarray:
    """Frame -> crop (2, 3) of a shot, such that points of the crop move linearly between its two frames."""
    if not shot.share:
        return np.asarray(matrices[shot.frame], np.float32)
    one, other = (
        cv2.invertAffineTransform(matrices[index].astype(np.float64)) for index in (shot.frame, shot.other)
    )
    mixed = one * (1 - shot.share) + other * shot.share
    return np.asarray(cv2.invertAffineTransform(mixed), np.float32)


def write_card(folder: Path, description: ReplicaDescription, files: Iterable[str]) -> None:
    """Write `replica.yaml` with the hash of each of `files`, which makes the replica complete."""
    card = {
        "name": description.name,
        "kind": description.kind,
        "renderer": description.renderer,
        "description": description.text,
        "source": description.source,
        "licence": "the person's own, as far as their consent goes",
        "voices": description.voices,
        "training": description.facts,
        "files": {name: sha256_of(folder / name) for name in sorted(files)},
    }
    text = yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=100)
    write_bytes(folder / CARD, text.encode())


_FLOW_SIDE_PX = 640
"""Optical flow is computed on pictures whose longer side is at most this."""


class FrameBlender:
    """Blends two similar frames by warping both towards each other, since a cross-fade shows two outlines
    where they differ by more than a pixel. Flow by dense inverse search (Kroeger et al. 2016). One thread."""

    def __init__(self) -> None:
        self._search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def blend(self, before: Bytes, after: Bytes, share: float) -> Bytes:
        """The I420 frame that is `share` of the way from the one to the other."""
        shown = np.empty_like(before)
        one, other = Planes.of(before).luma, Planes.of(after).luma
        forward, back = self._flow(one, other), self._flow(other, one)
        for plane, source, goal in zip(Planes.of(shown), Planes.of(before), Planes.of(after), strict=True):
            step = one.shape[1] // plane.shape[1]
            left = _warped(source, forward, share, step)
            right = _warped(goal, back, 1 - share, step)
            plane[:] = cv2.addWeighted(left, 1 - share, right, share, 0.0)
        return shown

    def _flow(self, one: Bytes, other: Bytes) -> Floats:
        """The displacement of each pixel of `one` in `other`, (h, w, 2) pixels."""
        height, width = one.shape
        scale = min(1.0, _FLOW_SIDE_PX / max(height, width))
        size = round(width * scale), round(height * scale)
        small = [cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (one, other)]
        flow = self._search.calc(*small, None)
        large = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(large / scale, np.float32)


def _warped(plane: Bytes, flow: Floats, share: float, step: int) -> Bytes:
    """A plane warped by `share` of the flow; `step` pixels of the flow are one of the plane."""
    height, width = plane.shape
    scaled = flow if step == 1 else cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / step
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.asarray(
        cv2.remap(
            plane,
            x - np.float32(share) * scaled[..., 0],
            y - np.float32(share) * scaled[..., 1],
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


_X264 = {"preset": "medium", "crf": "15", "bf": "0", "tune": "film"}


def fetch_frames(frames: Iterable[FootageFrame], wanted: Collection[int], folder: Path) -> dict[int, Frame]:
    """The frames of these numbers, I420, mapped from a nameless file in `folder` since they are many.

    Raises UsageError where the footage has fewer, CviError where the disk refuses.
    """
    found: list[int] = []
    shape = (0, 0)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            for frame in frames:
                if frame.index in wanted:
                    planes = to_i420(frame.rgb)
                    file.write(planes.tobytes())
                    found.append(frame.index)
                    shape = planes.shape[0], planes.shape[1]
                    if len(found) == len(wanted):
                        break
            if len(found) < len(wanted):
                raise UsageError(
                    "The footage has fewer frames than before.", "Give the film it was prepared from."
                )
            file.flush()
            frames_of = np.memmap(file, np.uint8, "r", shape=(len(found), *shape))
    except OSError as error:
        raise CviError(
            f"{folder} cannot be written to: {error.strerror or error}.", "Free some space and go on."
        ) from error
    return {index: frames_of[place] for place, index in enumerate(found)}


def write_base_film(
    path: Path, count: int, show: Callable[[int], Frame], fps: float, keys: Collection[int] = ()
) -> None:
    """Encode `count` frames that `show` gives by number, I420; about 0.3 MB a second at 720p. `keys` become
    key frames.

    Raises CviError where the disk refuses.
    """
    import av
    from av.video.frame import PictureType

    first = show(0)
    height, width = first.shape[0] * 2 // 3, first.shape[1]
    rate = Fraction(fps).limit_denominator(1001)
    try:
        with av.open(str(path), "w", format="mp4") as film:
            stream = film.add_stream("libx264", rate=rate, options=dict(_X264))
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            coder = stream.codec_context
            coder.thread_count = 1
            coder.gop_size = max(1, round(fps))
            coder.time_base = 1 / rate
            coder.colorspace, coder.color_primaries, coder.color_trc, coder.color_range = 1, 1, 1, 1
            for index in range(count):
                image = av_frame(show(index))
                image.pts, image.time_base = index, coder.time_base
                if index in keys:
                    image.pict_type = PictureType.I
                film.mux(stream.encode(image))
            film.mux(stream.encode(None))
    except (av.FFmpegError, OSError) as error:
        raise CviError(
            f"{path} cannot be written: {error.strerror or error}.", "Free some space and go on."
        ) from error
