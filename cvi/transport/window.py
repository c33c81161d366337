"""The window of a live conversation: the face, captions, the state, a small self-view.

SDL wants one thread: everything of it happens on the window's own. The conversation only leaves the
newest frame and the newest words there and wakes it; nothing waits for the screen.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from copy import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from cvi.errors import MissingError
from cvi.media.frames import Frame, av_frame
from cvi.media.inset import PictureSource

if TYPE_CHECKING:
    import pygame

Control = Literal["mute", "interrupt", "quit"]

SELF_VIEW_EVERY_MS = 66
START_TIMEOUT_S = 15.0
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
BACKGROUND = (16, 17, 20)


class Window:
    """`show`, `say` and `close` may be called from any thread and return at once.

    `on_control` is called from the window's thread. Keys: M mute, Space or I interrupt, Q or Esc quit.
    """

    def __init__(
        self,
        size: tuple[int, int],
        on_control: Callable[[Control], None],
        *,
        title: str = "cvi",
        self_view: PictureSource | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frame_size = size
        self._on_control = on_control
        self._title = title
        self._self_view = self_view
        self._now_s = now_s
        self._words = Subtitles()
        self._painter = _Painter(size)
        self._view_painter: _Painter | None = None
        self._frame: Frame | None = None
        self._lock = threading.Lock()
        self._woken = False
        self._closing = False
        self._wake_event: int | None = None
        self._ready = threading.Event()
        self._failure: MissingError | None = None
        self._thread = threading.Thread(target=self._run, name="cvi-window", daemon=True)
        self.shown_frames = 0

    def open(self) -> None:
        """Blocks until the window is there. Raises MissingError without a display."""
        if not any(os.environ.get(name) for name in DISPLAYS):
            raise MissingError(
                "There is no display for a window.", "Use --no-window, or run it on a desktop."
            )
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            self._failure = MissingError("The window did not open.", "Use --no-window.")
        if self._failure is not None:
            raise self._failure

    def show(self, frame: Frame) -> None:
        """The newest frame wins."""
        with self._lock:
            self._frame = frame
        self._wake()

    def say(self, event: str, text: str) -> None:
        """`state`, `user`, `user_partial`, `persona`, `notice` or `muted`; anything else is ignored."""
        with self._lock:
            self._words.say(event, text)
        self._wake()

    def close(self) -> None:
        """Close the window and end its thread."""
        self._closing = True
        self._wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def _wake(self) -> None:
        import pygame

        with self._lock:
            if self._woken or self._wake_event is None:
                return
            self._woken = True
            pygame.event.post(pygame.event.Event(self._wake_event))

    def _run(self) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        # Frames come from memory: through OpenGL each costs 20 ms where that is done in software, not 12.
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
        import pygame

        try:
            pygame.display.init()
            pygame.font.init()
            info = pygame.display.Info()
            scale = min(
                1.0, 0.9 * info.current_w / self._frame_size[0], 0.85 * info.current_h / self._frame_size[1]
            )
            size = (round(self._frame_size[0] * scale), round(self._frame_size[1] * scale))
            screen = pygame.display.set_mode(size, pygame.RESIZABLE)
            pygame.display.set_caption(self._title)
            self._wake_event = pygame.event.custom_type()
            if self._self_view is not None:
                pygame.time.set_timer(self._wake_event, SELF_VIEW_EVERY_MS)
        except pygame.error as error:
            self._failure = MissingError(f"No window can be opened ({error}).", "Use --no-window.")
            self._ready.set()
            return
        self._ready.set()
        try:
            while not self._closing:
                self._handle(pygame.event.wait(500))
                for event in pygame.event.get():
                    self._handle(event)
                self._draw(pygame.display.get_surface() or screen)
        finally:
            with self._lock:
                self._wake_event = None
            pygame.display.quit()

    def _handle(self, event: pygame.event.Event) -> None:
        import pygame

        if event.type == pygame.QUIT:
            self._on_control("quit")
        elif event.type == pygame.KEYDOWN:
            control = {
                pygame.K_m: "mute",
                pygame.K_SPACE: "interrupt",
                pygame.K_i: "interrupt",
                pygame.K_q: "quit",
                pygame.K_ESCAPE: "quit",
            }.get(event.key)
            if control is not None:
                self._on_control(control)  # type: ignore[arg-type]

    def _draw(self, screen: pygame.Surface) -> None:
        import pygame

        with self._lock:
            self._woken = False
            frame, words = self._frame, self._words.snapshot()
        width, height = screen.get_size()
        screen.fill(BACKGROUND)
        if frame is not None:
            face = self._painter.paint(frame, (width, height))
            screen.blit(face, ((width - face.get_width()) // 2, (height - face.get_height()) // 2))
            self.shown_frames += 1
        if self._self_view is not None and (small := self._self_view.at(self._now_s())) is not None:
            if self._view_painter is None:
                self._view_painter = _Painter(self._self_view.size)
            view = self._view_painter.paint(small, (width // 5, height // 4))
            view = pygame.transform.flip(view, True, False)  # as in a mirror
            corner = (width - view.get_width() - height // 40, height - view.get_height() - height // 40)
            screen.blit(view, corner)
            pygame.draw.rect(screen, (200, 200, 200), view.get_rect(topleft=corner), 1, border_radius=2)
        words.draw(screen)
        pygame.display.flip()


class _Painter:
    """I420 frames of one size as pygame surfaces. It keeps what the conversion has prepared, which
    costs more than the conversion."""

    def __init__(self, size: tuple[int, int]) -> None:
        from av.video.reformatter import VideoReformatter

        self._size = size
        self._reformatter = VideoReformatter()

    def paint(self, frame: Frame, room: tuple[int, int]) -> Any:
        """The frame, as large as fits into `room`."""
        import pygame
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        scale = min(room[0] / self._size[0], room[1] / self._size[1])
        width, height = (max(round(side * scale), 2) for side in self._size)
        image = self._reformatter.reformat(
            av_frame(frame),
            width,
            height,
            "bgra",
            src_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.FAST_BILINEAR,
        )
        surface = pygame.image.frombuffer(image.to_ndarray().tobytes(), (width, height), "BGRA")
        surface.set_alpha(None)  # opaque: a copy, not a blend
        return surface


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
