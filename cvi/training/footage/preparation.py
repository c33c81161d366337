"""Footage turned into what training needs, and stored: `prepared.npz` beside `crops.npy`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from cvi.errors import UsageError
from cvi.face.neural.compose import DrawnRegion, drawn_region
from cvi.files import replacing, write_bytes
from cvi.training.arrays import Bools, Bytes, Floats, Ints
from cvi.training.footage.face_geometry import (
    ANCHORS,
    crop,
    crop_matrices,
    face_width,
    filled,
    lip_box,
    reaches,
    side_for,
    usual_lower_faces,
)
from cvi.training.footage.mouth_space import COMPONENTS, MouthSpace, learn_space, mouth_interior, opening
from cvi.training.footage.reader import FootageFrame
from cvi.training.footage.tracking import FaceTrack

PREPARED, CROPS = "prepared.npz", "crops.npy"
FORMAT = 4
LEAST_TRAINING_S = 4.0
_GAP_S = 0.6
"""Left out between training and held-out frames, whose neighbours look almost the same."""
_JUMP = 0.05
"""Face widths from one frame to the next: a cut; nobody moves that fast."""

_ARRAYS = {
    name: name for name in ("matrices", "mouth", "opening", "reach", "train", "test", "pieces", "lips")
}
_ARRAYS["usual_lower_face"] = "stands"
"""Fields of `PreparedFootage` -> their names in the file."""


@dataclass(frozen=True, slots=True)
class PreparedFootage:
    """n frames at a fixed rate.

    `crops` uint8 (n, side, side, 3) RGB, on disk; `matrices` (n, 2, 3) frame -> crop pixels; `mouth` (n, k)
    coefficients, those of `MouthSpace` and after them what is seen between the lips (`mouth_interior`);
    `opening` (n,) of the inner lips in widths of the face; `reach` (n, DIRECTIONS) of the lower face
    (`cvi.face.neural.compose`); `usual_lower_face` (n, m, 2) where this person's mean lower face lies in each
    crop, pixels, from the head's pose alone; `train`, `test` bool (n,); `pieces` (m, 2) first and end of the
    stretches without a cut; `lips` (4,) first and end row, first and end column of the crop that the lips
    ever reach; `side` of a crop, pixels; `size` width and height of the frames.
    """

    crops: Bytes
    matrices: Floats
    mouth: Floats
    opening: Floats
    reach: Floats
    usual_lower_face: Floats
    train: Bools
    test: Bools
    pieces: Ints
    lips: Ints
    side: int
    fps: float
    size: tuple[int, int]
    face_px: float
    space: MouthSpace

    def __len__(self) -> int:
        return len(self.matrices)

    @property
    def lip_box(self) -> tuple[slice, slice]:
        """Rows and columns of a crop that the lips ever reach."""
        top, bottom, left, right = self.lips.tolist()
        return slice(top, bottom), slice(left, right)

    def region(self, frame: int) -> DrawnRegion:
        """The region of a frame's crop that is hidden and drawn anew."""
        return drawn_region(self.reach[frame], self.side)


def pieces_of(track: FaceTrack) -> list[tuple[int, int]]:
    """The stretches [first, end) with a face and without a cut, at least two frames long."""
    points = track.landmarks[:, list(ANCHORS), :2]
    step = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1) / face_width(track.landmarks)
    # A fast head moves in every frame: a cut exceeds the median of the steps around it.
    usual = np.array([np.nanmedian(np.append(step[max(0, i - 4) : i + 5], 0.0)) for i in range(len(step))])
    joined = track.present[1:] & track.present[:-1] & (step < _JUMP + 2 * usual)
    ends = [0, *(int(i) + 1 for i in np.flatnonzero(~joined)), len(track)]
    return [(first, end) for first, end in pairwise(ends) if end - first > 1]


def split_frames(track: FaceTrack, pieces: list[tuple[int, int]], held_out_s: float) -> tuple[Bools, Bools]:
    """Which frames train and which test, bool (n,) each: the last `held_out_s` seconds are never trained
    on."""
    usable = np.zeros(len(track), np.bool_)
    for first, end in pieces:
        usable[first:end] = True
    usable &= track.present & (track.faces == 1)
    begin = len(track) - round(held_out_s * track.fps)
    index = np.arange(len(track))
    train = usable & (index < begin - round(_GAP_S * track.fps) if held_out_s > 0 else usable)
    test = usable & (index >= begin) & (held_out_s > 0)
    return train, test


def prepare_footage(
    frames: Iterable[FootageFrame],
    track: FaceTrack,
    folder: Path,
    most_side: int,
    held_out_s: float,
    clean: Bools | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> PreparedFootage:
    """Cut the crops and learn the mouth's space; writes into `folder`, returns what `load_prepared` would.

    `frames` are those the track was made of, from the first; only those in `clean` (n,) are trained on.
    Raises UsageError for footage with too little face in it, CviError when the disk is full.
    """
    pieces = pieces_of(track)
    train, test = split_frames(track, pieces, held_out_s)
    if clean is not None:
        train &= clean
    if train.sum() < LEAST_TRAINING_S * track.fps:
        raise UsageError(
            f"Only {train.sum() / track.fps:.1f} s of this footage show one face to learn from.",
            "Film a minute or more, with one person facing the camera.",
        )
    landmarks = filled(track.landmarks, track.present)
    face_px = face_width(track.landmarks[train])
    side = side_for(face_px, most_side)
    matrices = crop_matrices(landmarks, pieces, side)
    rows, columns = lip_box(landmarks[train], matrices[train], side)
    space = learn_space(landmarks[train], COMPONENTS)
    crops = _write_crops(frames, matrices, side, folder / CROPS, progress)
    between = mouth_interior(crops, landmarks, matrices, train)
    mouth = np.concatenate([space.encode(landmarks), between], 1)
    prepared = PreparedFootage(
        crops=crops,
        matrices=matrices,
        mouth=mouth,
        opening=opening(space.decode(mouth)),
        reach=reaches(landmarks, matrices, pieces, train, space.reference, side),
        usual_lower_face=usual_lower_faces(landmarks, matrices, train, space.reference),
        train=train,
        test=test,
        pieces=np.asarray(pieces, np.int32),
        lips=np.array([rows.start, rows.stop, columns.start, columns.stop], np.int32),
        side=side,
        fps=track.fps,
        size=(track.width, track.height),
        face_px=face_px,
        space=space,
    )
    # Written last: load_prepared takes its presence for a finished preparation.
    write_bytes(folder / PREPARED, prepared_bytes(prepared))
    return prepared


def load_prepared(folder: Path, with_crops: bool = True) -> PreparedFootage | None:
    """What `prepare_footage` stored; None where it has not finished or was made by another version.

    Without `with_crops` the crops are empty, which is enough to evaluate. Raises UsageError for a damaged
    file.
    """
    path = folder / PREPARED
    if not path.is_file() or (with_crops and not (folder / CROPS).is_file()):
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                return None
            return PreparedFootage(
                crops=np.load(folder / CROPS, mmap_mode="r", allow_pickle=False)
                if with_crops
                else np.zeros((0, 0, 0, 3), np.uint8),
                **{field: arrays[name] for field, name in _ARRAYS.items()},
                side=int(arrays["side"]),
                fps=float(arrays["fps"]),
                size=(int(arrays["size"][0]), int(arrays["size"][1])),
                face_px=float(arrays["face_px"]),
                space=MouthSpace(*(arrays[f"space_{name}"] for name in MouthSpace.__slots__)),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", f"Remove {folder} and start again.") from error


def _write_crops(
    frames: Iterable[FootageFrame],
    matrices: Floats,
    side: int,
    path: Path,
    progress: Callable[[int, int], None],
) -> Bytes:
    count, done = len(matrices), 0
    remedy = f"Free {count * side * side * 3 / 1e6:.0f} MB and give the command again."
    with replacing(path, remedy=remedy) as part, part.open("wb") as out:
        begin_array(out, (count, side, side, 3))
        for frame, matrix in zip(frames, matrices, strict=False):
            out.write(np.ascontiguousarray(crop(frame.rgb, matrix, side)).data)
            done += 1
            progress(done, count)
        if done < count:
            raise UsageError(
                f"The footage gave {done} frames where its track has {count}.",
                "Track it again: it has changed.",
            )
    crops: Bytes = np.load(path, mmap_mode="r", allow_pickle=False)
    return crops


def prepared_bytes(prepared: PreparedFootage) -> bytes:
    """Everything but the crops, as an .npz file."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        name: np.asarray(getattr(prepared, field)) for field, name in _ARRAYS.items()
    }
    for name in ("side", "fps", "size", "face_px"):
        arrays[name] = np.asarray(getattr(prepared, name))
    for name in MouthSpace.__slots__:
        arrays[f"space_{name}"] = getattr(prepared.space, name)
    stream = io.BytesIO()
    np.savez_compressed(stream, format=np.int32(FORMAT), **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def begin_array(out: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the header of a .npy file of uint8 `shape`; the caller writes the bytes after it, in order.

    Written row by row and not mapped: on a full disk a write raises, where a mapped file ends the process by
    a signal.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
