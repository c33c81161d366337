"""The words over the picture: what was said, what is going on, what to know."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pygame

STATES = {
    "idle": ("Ready", (150, 150, 155)),
    "listening": ("Listening", (92, 200, 130)),
    "thinking": ("Thinking", (235, 190, 90)),
    "speaking": ("Speaking", (110, 165, 255)),
}
KEYS = "M mute   Space interrupt   Q quit"
PERSONA_COLOUR, USER_COLOUR, NOTE_COLOUR = (246, 246, 246), (190, 212, 240), (220, 220, 220)
PLATE = (10, 11, 14, 165)
MOST_LINES = 3
# Of the window's height.
TEXT, SMALL = 0.040, 0.026


class Subtitles:
    """What is to be read now. Not thread-safe: the window guards it and draws a `snapshot`."""

    def __init__(self) -> None:
        self.state = "idle"
        self.muted = False
        self.persona = ""
        self.user = ""
        self.notice = ""

    def say(self, event: str, text: str) -> None:
        """Take an event of the conversation, as `Transport.notify` gives it."""
        if event == "state":
            self.state = text
        elif event == "persona":
            self.persona = text
        elif event in ("user", "user_partial"):
            self.user, self.persona = text, ""
        elif event == "notice":
            self.notice = text
        elif event == "muted":
            self.muted = bool(text)

    def snapshot(self) -> Subtitles:
        """A copy that another thread may draw."""
        return copy(self)

    def draw(self, screen: pygame.Surface) -> None:
        """Draw the words onto a pygame surface."""
        width, height = screen.get_size()
        edge = height // 40
        name, colour = STATES.get(self.state, STATES["idle"])
        if self.muted:
            name, colour = "Microphone off (M turns it on)", (230, 100, 95)
        _plate(screen, [(name, NOTE_COLOUR)], SMALL, (edge, edge), dot=colour)
        note = self.notice or KEYS
        _plate(screen, [(note, NOTE_COLOUR)], SMALL, (width - edge, edge), anchor="topright")
        font = _font(max(round(height * TEXT), 12))
        lines = [(line, USER_COLOUR) for line in wrap(self.user, font, round(width * 0.56))[-MOST_LINES:]]
        if self.persona:
            lines = [
                (line, PERSONA_COLOUR) for line in wrap(self.persona, font, round(width * 0.56))[-MOST_LINES:]
            ]
        if lines:
            _plate(screen, lines, TEXT, (width // 2, height - edge), anchor="midbottom")


def wrap(text: str, font: Any, width: int) -> list[str]:
    """Words into lines no wider than `width` pixels; a longer word stands alone."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.size(longer)[0] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _plate(
    screen: pygame.Surface,
    lines: list[tuple[str, tuple[int, int, int]]],
    size: float,
    at: tuple[int, int],
    *,
    anchor: str = "topleft",
    dot: tuple[int, int, int] | None = None,
) -> None:
    """Lines of text on a soft dark plate whose `anchor` is at `at`; `dot` stands before them."""
    import pygame

    font = _font(max(round(screen.get_height() * size), 12))
    texts = [font.render(line, True, colour) for line, colour in lines]
    pad = font.get_height() // 2
    lead = round(pad * 1.4) if dot else 0
    plate = pygame.Surface(
        (max(t.get_width() for t in texts) + 2 * pad + lead, len(texts) * font.get_linesize() + pad),
        pygame.SRCALPHA,
    )
    pygame.draw.rect(plate, PLATE, plate.get_rect(), border_radius=pad)
    for number, text in enumerate(texts):
        x = pad + lead if anchor != "midbottom" else (plate.get_width() - text.get_width()) // 2
        plate.blit(text, (x, pad // 2 + number * font.get_linesize()))
    if dot:
        pygame.draw.circle(plate, dot, (pad + pad // 2, plate.get_height() // 2), max(round(pad * 0.45), 4))
    screen.blit(plate, plate.get_rect(**{anchor: at}))


@lru_cache(maxsize=8)
def _font(size: int) -> Any:
    import pygame

    return pygame.font.Font(None, round(size * 1.3))
