"""The recorder's screen: the reader mirrored, an oval to sit in, the script near the lens, the level, one
advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cvi.training.footage.reader import Rgb

if TYPE_CHECKING:
    import pygame

    from cvi.training.recording.reading_script import PrompterCue
from cvi.perception.face_detection import FaceDetection
from cvi.training.grading.face_measures import CHIN, LEFT, RIGHT, TOP, face_width, head_pose

OVAL_X, OVAL_Y, OVAL_HEIGHT, OVAL_SHAPE = 0.5, 0.45, 0.56, 0.78
"""The oval: its centre in shares of the picture's width and height, its height in shares of the picture's
height, its width in shares of its own height."""
LEAST_PX, MOST_HEIGHT = 200.0, 0.62
_ASIDE, _HIGH = 0.10, 0.12
_TURN_DEGREES = 12.0


def framing_advice(detection: FaceDetection, width: int, height: int, turn_bias: float = 0.0) -> str:
    """One advice on the face's position, the most important first; "" when all is well. Left and right are
    the reader's own; `width` and `height` of the picture, pixels; `turn_bias` degrees that count as
    straight."""
    if detection.landmarks is None:
        return "I cannot see your face"
    if detection.faces > 1:
        return "There is a second face in the picture"
    face = detection.landmarks[None]
    wide = float(face_width(face)[0])
    tall = float(detection.landmarks[CHIN, 1] - detection.landmarks[TOP, 1])
    middle = (detection.landmarks[LEFT, :2] + detection.landmarks[RIGHT, :2]) / 2
    x, y = float(middle[0]) / width - OVAL_X, float(middle[1]) / height - OVAL_Y
    if wide < LEAST_PX:
        return "Come closer"
    if tall > MOST_HEIGHT * height:
        return "Move back a little"
    if abs(x) > _ASIDE:
        # The picture's right is the reader's left.
        return "Move to your right" if x > 0 else "Move to your left"
    if abs(y) > _HIGH:
        return "Lower the camera, or sit up" if y > 0 else "Raise the camera, or sit lower"
    turn = float(np.nan_to_num(head_pose(face).turn[0]))
    if turn - turn_bias > _TURN_DEGREES:
        return "Face the camera"
    return ""


INK, PAPER, SOFT, NOTE = (245, 245, 245), (16, 17, 20), (150, 152, 160), (204, 206, 214)
ALERT, GOOD = (235, 87, 72), (88, 190, 120)
LOUDEST_DB, QUIETEST_DB = 0.0, -60.0
TOO_LOUD_DB, TOO_QUIET_DB = -3.0, -42.0
TOO_LOUD = "Too loud"
_FEELINGS = {"happy": (250, 200, 80), "concerned": (130, 170, 250), "surprised": (230, 140, 230)}


@dataclass(frozen=True, slots=True)
class RecorderView:
    """Everything that one picture of the screen shows. `share` of the cue's time that is over, 0..1;
    `level_db` of the microphone; `elapsed_s` None before the recording begins."""

    rgb: Rgb | None
    cue: PrompterCue | None
    coming: str
    share: float
    level_db: float
    advice: str
    elapsed_s: float | None
    left_s: float
    hint: str


def draw_view(screen: pygame.Surface, view: RecorderView) -> None:
    """Draw the view over the whole surface; `pygame.font` must be initialized."""
    import pygame

    width, height = screen.get_size()
    screen.fill(PAPER)
    band = round(height * 0.3)  # the script is at the top, near a laptop's lens
    picture = pygame.Rect(0, band, width, height - band)
    shown = _picture(screen, picture, view.rgb)
    if view.elapsed_s is None or view.advice:
        _oval(screen, shown, ALERT if view.advice else GOOD)
    _words(screen, pygame.Rect(0, 0, width, band), view)
    _level(screen, pygame.Rect(shown.right - 26, shown.top + 12, 14, shown.height - 24), view.level_db)
    small = _font(height, 0.030)
    if view.level_db > TOO_LOUD_DB:
        room = small.size(TOO_LOUD)[0] // 2 + 54
        _tag(screen, TOO_LOUD, small, (shown.right - room, shown.top + 24), ALERT)
    if view.advice:
        _tag(screen, view.advice, small, (shown.centerx, shown.bottom - round(height * 0.10)), ALERT)
    _tag(screen, view.hint, small, (shown.centerx, shown.bottom - round(height * 0.035)), PAPER)
    if view.elapsed_s is not None:
        pygame.draw.circle(screen, ALERT, (shown.left + 20, shown.top + 24), 8)
        text = f"{_clock(view.elapsed_s)}   {_clock(view.left_s)} left"
        middle = shown.left + 46 + small.size(text)[0] // 2, shown.top + 24
        _tag(screen, text, small, middle, PAPER)


def _picture(screen: pygame.Surface, room: pygame.Rect, rgb: Rgb | None) -> pygame.Rect:
    import cv2
    import pygame

    if rgb is None:
        return room
    height, width = rgb.shape[:2]
    scale = min(room.width / width, room.height / height)
    size = max(round(width * scale), 2), max(round(height * scale), 2)
    small = np.ascontiguousarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)[:, ::-1])
    surface = pygame.image.frombuffer(small.tobytes(), size, "RGB")
    place = surface.get_rect(center=room.center)
    screen.blit(surface, place)
    return place


def _oval(screen: pygame.Surface, shown: pygame.Rect, colour: tuple[int, int, int]) -> None:
    import pygame

    tall = round(OVAL_HEIGHT * shown.height)
    # The oval keeps a face's shape whatever the picture's.
    wide = round(min(0.9 * shown.width, tall * OVAL_SHAPE))
    oval = pygame.Rect(0, 0, wide, tall)
    oval.center = (
        shown.left + round((1 - OVAL_X) * shown.width),
        shown.top + round(OVAL_Y * shown.height),
    )
    pygame.draw.ellipse(screen, colour, oval, 3)


def _words(screen: pygame.Surface, room: pygame.Rect, view: RecorderView) -> None:
    import pygame

    if view.cue is None:
        return
    cue, height = view.cue, screen.get_height()
    note = cue.kind != "read"
    colour = NOTE if note else _FEELINGS.get(cue.feeling, INK)
    if not note and cue.feeling != "neutral":
        _tag(screen, cue.feeling, _font(height, 0.03), (room.centerx, room.top + 20), PAPER, colour)
    lines, font = _fitted(cue.text, height, 0.048 if note else 0.062, room.width * 0.92)
    # The next line stands below, the mood above.
    y = room.centery - len(lines) * font.get_linesize() // 2 - (round(0.01 * height) if view.coming else 0)
    for line in lines:
        label = font.render(line, True, colour)
        screen.blit(label, ((room.width - label.get_width()) // 2, y))
        y += font.get_linesize()
    if view.coming:
        (ahead, *_), font = _fitted(view.coming, height, 0.028, room.width * 0.96)
        label = font.render(ahead, True, SOFT)
        screen.blit(label, ((room.width - label.get_width()) // 2, room.bottom - label.get_height() - 9))
    pygame.draw.rect(screen, SOFT, (0, room.bottom - 4, round(room.width * view.share), 4))


def _fitted(text: str, height: int, size: float, room: float) -> tuple[list[str], pygame.font.Font]:
    """The text in lines no wider than `room`: two large ones, or three a little smaller, or as it goes."""
    for factor, most in ((1.0, 2), (0.88, 3), (0.7, 3), (0.55, 4)):
        font = _font(height, size * factor)
        lines = _wrapped(text, font, room)
        if len(lines) <= most:
            break
    for share in (0.9, 0.8, 0.7, 0.6):  # no word alone in the last line
        narrower = _wrapped(text, font, room * share)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return lines, font


def _wrapped(text: str, font: pygame.font.Font, room: float) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and font.size(longer)[0] > room:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]


def _level(screen: pygame.Surface, room: pygame.Rect, level_db: float) -> None:
    import pygame

    pygame.draw.rect(screen, PAPER, room.inflate(6, 6), border_radius=6)
    share = min(max((level_db - QUIETEST_DB) / (LOUDEST_DB - QUIETEST_DB), 0.0), 1.0)
    colour = ALERT if level_db > TOO_LOUD_DB else SOFT if level_db < TOO_QUIET_DB else GOOD
    filled = round(room.height * share)
    pygame.draw.rect(screen, colour, (room.left, room.bottom - filled, room.width, filled), border_radius=4)


def _tag(
    screen: pygame.Surface,
    text: str,
    font: pygame.font.Font,
    middle: tuple[int, int],
    back: tuple[int, int, int],
    ink: tuple[int, int, int] = INK,
) -> None:
    import pygame

    if not text:
        return
    label = font.render(text, True, ink)
    place = label.get_rect(center=middle)
    pygame.draw.rect(screen, back, place.inflate(24, 12), border_radius=10)
    screen.blit(label, place)


def _font(height: int, share: float) -> pygame.font.Font:
    import pygame

    return pygame.font.Font(None, max(round(height * share * 1.4), 14))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
