"""What a photo replica has beside the photo (`rig.npz`), and the coordinate systems read from its landmarks.

The systems are those of the head, the mouth and each eye. Axes follow the face: right runs from the left eye
to the right one (the viewer's), down is perpendicular. Indices are those of MediaPipe's face mesh.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from cvi.errors import UsageError
from cvi.face.planes import Floats

FORMAT = 1
RIG, PHOTO = "rig.npz", "photo.png"
POINTS = 478
_ARRAYS = ("landmarks", "lip_line", "teeth", "cavity", "tongue", "lash", "glasses")


@dataclass(frozen=True, slots=True)
class PhotoRig:
    """Where the face is in the photo, and colours of what the photo does not show; all float32.

    `landmarks` (478, 3): MediaPipe's face mesh, photo pixels, z away from the viewer; `lip_line` (n, 2):
    where the lips meet, from left to right, photo pixels; `teeth`, `cavity`, `tongue`, `lash` (3,): RGB
    0..255 in the photo's light; `glasses` (1,): 1 where they are worn.
    """

    landmarks: Floats
    lip_line: Floats
    teeth: Floats
    cavity: Floats
    tongue: Floats
    lash: Floats
    glasses: Floats


def rig_bytes(rig: PhotoRig) -> bytes:
    """The rig as an npz file."""
    arrays = {field.name: np.asarray(getattr(rig, field.name), np.float32) for field in fields(PhotoRig)}
    stream = io.BytesIO()
    np.savez_compressed(stream, format=np.int32(FORMAT), **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def load_rig(path: Path) -> PhotoRig:
    """Read a file written by `rig_bytes`. Raises UsageError for a damaged file or another format."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["format"]) != FORMAT:
                raise UsageError(f"{path} was made by another version of this program.", "Make it again.")
            arrays = {name: np.asarray(file[name], np.float32) for name in _ARRAYS}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read ({error}).", "Make or fetch the replica again.") from error
    line = arrays["lip_line"]
    whole = arrays["landmarks"].shape == (POINTS, 3) and line.ndim == 2 and len(line) > 3
    if not whole or not all(np.isfinite(part).all() for part in arrays.values()):
        raise UsageError(f"{path} holds no face.", "Make or fetch the replica again.")
    return PhotoRig(**arrays)


CROWN, CHIN, CHEEK_LEFT, CHEEK_RIGHT = 10, 152, 234, 454
MOUTH_CORNERS, INNER_CORNERS = (61, 291), (78, 308)
BROWS = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300))
BROWS_UNDER = ((46, 53, 52, 65, 55), (285, 295, 282, 283, 276))
"""Upper and lower edge of each brow, from left to right."""
BROW_ENDS = (107, 336)
LIDS = (
    ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133)),
    ((362, 398, 384, 385, 386, 387, 388, 466, 263), (362, 382, 381, 380, 374, 373, 390, 249, 263)),
)
"""Upper and lower lid's edge of each eye, from left to right."""
IRISES = ((468, 469, 470, 471, 472), (473, 474, 475, 476, 477))
_WITHIN_FRAME = 0.8
_LASHES = 0.10
"""Openings of the eye by which the upper lid's edge is moved below the mesh's line, so that the lashes belong
to the lid and not to the eyeball."""


@dataclass(frozen=True, slots=True)
class Axes:
    """A coordinate system: `origin` (2,) frame pixels, `right` and `down` (2,) unit vectors, `unit`
    pixels."""

    origin: Floats
    right: Floats
    down: Floats
    unit: float

    def into(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Frame pixels `x`, `y` of any shape -> u (right), v (down) in units."""
        dx, dy = (x - self.origin[0]) / self.unit, (y - self.origin[1]) / self.unit
        return dx * self.right[0] + dy * self.right[1], dx * self.down[0] + dy * self.down[1]

    def back(self, u: Floats, v: Floats) -> Floats:
        """u, v in units (n,) -> frame pixels (n, 2)."""
        place = u[:, None] * self.right + v[:, None] * self.down
        return np.asarray(place * self.unit + self.origin, np.float32)


@dataclass(frozen=True, slots=True)
class MouthOutline:
    """The mouth at rest: `axes` at the middle of the lip line, one unit from corner to corner; `line` (2, n):
    u, v of the lip line from corner to corner; `chin`: v of the chin."""

    axes: Axes
    line: Floats
    chin: float

    def below_line(self, u: Floats, v: Floats) -> Floats:
        """How far (u, v) lie below the lip line, units; beyond the corners the line is level."""
        return np.asarray(v - np.interp(u, self.line[0], self.line[1]).astype(np.float32), np.float32)

    def parting(self, u: Floats) -> Floats:
        """How far the lips part at `u` relative to the middle: 1 there, 0 at the corners and beyond."""
        left, right = float(self.line[0, 0]), float(self.line[0, -1])
        across = np.clip((u - left) / (right - left), 0, 1) * 2 - 1
        return np.asarray(np.maximum(1 - np.abs(across) ** 2.1, 0) ** 0.95, np.float32)


@dataclass(frozen=True, slots=True)
class EyeOutline:
    """One open eye: `axes` at the middle between the corners, one unit from there to a corner; in units:
    `upper`, `lower` (2, n): u, v of the lids' edges; `iris` (u, v) and its `radius`; `brow`: height of the
    brow's lower edge above the upper lid."""

    axes: Axes
    upper: Floats
    lower: Floats
    iris: tuple[float, float]
    radius: float
    brow: float

    @property
    def opening(self) -> float:
        """The largest distance between the lids, units."""
        return float((self.lower[1] - np.interp(self.lower[0], self.upper[0], self.upper[1])).max())


@dataclass(frozen=True, slots=True)
class FaceShape:
    """A face in the frame. `points` (478, 3): landmarks, pixels; `head`: axes between hairline and chin, one
    unit from ear to ear; `high`: from hairline to chin, units; `glasses`: whether they are worn."""

    points: Floats
    head: Axes
    high: float
    mouth: MouthOutline
    eyes: tuple[EyeOutline, EyeOutline]
    glasses: bool


def shape_of(points: Floats, lip_line: Floats, glasses: bool = False) -> FaceShape:
    """The shape from landmarks (478, 3) and `lip_line` (n, 2), frame pixels."""
    flat = points[:, :2]
    left = (flat[LIDS[0][0][0]] + flat[LIDS[0][0][-1]]) / 2
    right_eye = (flat[LIDS[1][0][0]] + flat[LIDS[1][0][-1]]) / 2
    right = _unit(right_eye - left)
    down = np.array([-right[1], right[0]], np.float32)
    width = float(np.linalg.norm(flat[CHEEK_RIGHT] - flat[CHEEK_LEFT]))
    head = Axes((flat[CROWN] + flat[CHIN]) / 2, right, down, width)
    high = float(np.linalg.norm(flat[CHIN] - flat[CROWN])) / width
    return FaceShape(
        points=points,
        head=head,
        high=high,
        mouth=_mouth(flat, lip_line),
        eyes=(_eye(flat, 0, glasses), _eye(flat, 1, glasses)),
        glasses=glasses,
    )


def _mouth(flat: Floats, lip_line: Floats) -> MouthOutline:
    # A mouth may be tilted against the eyes: it has axes of its own.
    right = _unit(lip_line[-1] - lip_line[0])
    down = np.array([-right[1], right[0]], np.float32)
    unit = float(np.linalg.norm(flat[MOUTH_CORNERS[1]] - flat[MOUTH_CORNERS[0]]))
    axes = Axes((lip_line[0] + lip_line[-1]) / 2, right, down, unit)
    u, v = axes.into(lip_line[:, 0], lip_line[:, 1])
    chin = axes.into(flat[CHIN, 0], flat[CHIN, 1])[1]
    return MouthOutline(axes, np.stack([u, v]), float(chin))


def _eye(flat: Floats, side: int, glasses: bool) -> EyeOutline:
    upper, lower = (flat[list(edge)] for edge in LIDS[side])
    start, end = upper[0], upper[-1]
    right = _unit(end - start)
    down = np.array([-right[1], right[0]], np.float32)
    axes = Axes((start + end) / 2, right, down, float(np.linalg.norm(end - start)) / 2)
    above, below = (np.stack(axes.into(edge[:, 0], edge[:, 1])) for edge in (upper, lower))
    open_at = np.interp(above[0], below[0], below[1]).astype(np.float32) - above[1]
    above[1] += _LASHES * np.maximum(open_at, 0)
    ring = flat[list(IRISES[side])]
    u, v = axes.into(ring[:1, 0], ring[:1, 1])
    radius = float(np.linalg.norm(ring[1:] - ring[0], axis=1).mean()) / axes.unit
    brow = flat[list(BROWS_UNDER[side])]
    brow_v = float(axes.into(brow[:, 0], brow[:, 1])[1].mean())
    high = max(float(above[1].min()) - brow_v, 0.25)
    if glasses:
        # Skin for the shut lid is taken from within the frame of the glasses only.
        high = min(high, _WITHIN_FRAME * float(np.max(open_at)))
    return EyeOutline(axes, above, below, (float(u[0]), float(v[0])), radius, high)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), np.float32)
