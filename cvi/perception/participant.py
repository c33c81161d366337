"""All of perception in one conversation: the camera is watched, the voice heard, turns are followed in the
journal, and the language model is told in few words what came of it.

Event loop only; what takes time runs on threads of the watches, which hand over through the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from cvi.audio.block import AudioBlock
from cvi.clock import Clock
from cvi.conversation.capabilities import NO_REACTIONS, Reactions
from cvi.conversation.events import (
    AwarenessAnswered,
    Event,
    ParticipantHeard,
    ParticipantSeen,
    PerceptionAnalysed,
    PerceptionToolCalled,
    PerceptionUnavailable,
    ScreenRead,
    TranscriptFinal,
    TranscriptPartial,
    TurnCommitted,
    UserResumed,
    UserStartedSpeaking,
)
from cvi.conversation.journal import Journal
from cvi.errors import CviError, EngineError
from cvi.llm.base import LlmEngine
from cvi.media.live_picture import LivePicture, Rgb
from cvi.perception.analysis import analyse_participant
from cvi.perception.awareness import Awareness, AwarenessSettings, Modality, Nearness
from cvi.perception.briefing import Briefing, Form, asks_about_sight
from cvi.perception.camera_watch import CameraWatch
from cvi.perception.fusion import FaceTrackRecord, WordTimes, mismatch
from cvi.perception.hearing import Hearing, describe_voice
from cvi.perception.looker import Looker, build_looker
from cvi.perception.screen_watch import ScreenState, ScreenWatch
from cvi.perception.sight import NOTHING_SEEN, Sight
from cvi.perception.text_reader import RapidOcrReader
from cvi.perception.vision import VisionEngine, jpeg
from cvi.perception.wording import PLAIN, Describer
from cvi.transport.base import ShowsPictures, Transport

LEAST_BETWEEN_S, MOST_BETWEEN_S = 0.5, 5.0
"""How far apart the journal's records of what is seen are, when it changes and when it does not."""
THINKS_S = (0.2, 4.0)
"""A look away that is so long is one of thinking; a longer one is attention elsewhere."""
_CONCERN = 0.5
AWARE_EVERY_S = 4.0
"""What is noticed is judged no more often than this."""
ANALYSIS_WITHIN_S = 30.0
CAPTION = "What does the person do, hold or show to the camera?"


NO_VISION, NO_AUDIO = AwarenessSettings("vision"), AwarenessSettings("audio")


@dataclass(frozen=True, slots=True)
class PerceptionSettings:
    """`sees` and `hears`: what is perceived at all. `notes`: the language model is told, in the `form`
    "tags" (`<user_appearance>`, `<user_emotions>`) or "scene" (`USER_SPEECH: ... VISUAL_SCENE: ...`).
    `emotion_recognition`: expressions are named. `vision` and `audio` are questions and tools of the persona,
    `analysis_queries` what is to be answered at the end."""

    sees: bool = True
    hears: bool = True
    notes: bool = True
    form: Form = "tags"
    emotion_recognition: bool = False
    vision: AwarenessSettings = NO_VISION
    audio: AwarenessSettings = NO_AUDIO
    analysis_queries: Sequence[str] = ()


class Participant:
    """A `Perceiver` and a `ContextProvider`, see `cvi.conversation.capabilities`."""

    name = "perception"

    def __init__(
        self,
        settings: PerceptionSettings,
        make_looker: Callable[[], Looker] = build_looker,
        vision: VisionEngine | None = None,
        nearness: Nearness | None = None,
    ) -> None:
        """`vision` understands pictures, where there is one; `nearness` as `Awareness` takes it."""
        self._nearness = nearness
        self._settings = settings
        self._vision = vision
        self._briefing = Briefing(settings.form)
        self._screen_watch: ScreenWatch | None = None
        self._noticed: dict[str, Rgb | None] = {}
        """What was seen out of the ordinary and is not judged yet, with the picture that shows it."""
        self._notice = asyncio.Event()
        self._awareness: dict[str, Awareness] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._llm: LlmEngine | None = None
        self._make_looker = make_looker
        self._hearing = Hearing()
        self._describer = Describer()
        self._faces = FaceTrackRecord()
        self._words = WordTimes()
        self._turn_began_s: float | None = None
        self._looked = False
        """The turn under way had the picture looked at."""
        self._sight = NOTHING_SEEN
        self._rgb: Rgb | None = None
        self._written_s = -MOST_BETWEEN_S
        self._journal: Journal | None = None
        self._clock: Clock | None = None
        self._watch: CameraWatch | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._picture: LivePicture | None = None
        self._closed = False
        self._notable: list[Event] = []
        """Events that the analysis at the end is made of."""

    # -- as a Perceiver ---------------------------------------------------------------------------

    def begin(self, clock: Clock, transport: Transport, journal: Journal, llm: LlmEngine) -> None:
        """As `Perceiver.begin`."""
        self._clock, self._journal, self._llm = clock, journal, llm
        for wanted in (self._settings.vision, self._settings.audio):
            if wanted.anything:
                self._awareness[wanted.modality] = Awareness(wanted, llm, self._nearness)
        self._loop = asyncio.get_running_loop()
        journal.subscribe(self._follow_journal)
        pictures = transport.pictures if isinstance(transport, ShowsPictures) else {}
        if self._settings.sees and (camera := pictures.get("camera")) is not None:
            self._picture = camera
            self._watch = CameraWatch(
                camera, self._make_looker, clock.now, self._saw_there, self._failed_there
            )
            self._watch.start()
        if self._settings.sees and (screen := pictures.get("screen")) is not None:
            self._screen_watch = ScreenWatch(
                screen, RapidOcrReader, self._saw_screen_there, self._failed_there
            )
            self._screen_watch.start()
        if self._settings.sees and ("vision" in self._awareness or self._vision is not None):
            self._run(self._be_aware(clock))

    def hear(self, block: AudioBlock) -> None:
        """As `Perceiver.hear`."""
        if self._settings.hears:
            self._hearing.hear(block)

    @property
    def reactions(self) -> Reactions:
        """As `Perceiver.reactions`."""
        sight = self._sight
        if not sight.calibrated or not sight.present:
            return NO_REACTIONS
        looks_aside = sight.look in ("left", "right", "up", "down")
        return Reactions(
            smile=sight.answered_smile,
            concern=sight.furrowed if sight.furrowed > _CONCERN else 0.0,
            nods=sight.nodded_s is not None and sight.t_s - sight.nodded_s < 0.5,
            thinks=looks_aside and THINKS_S[0] <= sight.look_s <= THINKS_S[1],
            lips_parted_s=sight.parted_s,
            looked_back_s=sight.returned_s if sight.look == "screen" else None,
        )

    async def close(self) -> None:
        """As `Perceiver.close`."""
        for watch in (self._watch, self._screen_watch):
            if watch is not None:
                await asyncio.to_thread(watch.stop)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._vision is not None:
            await self._vision.close()
        if self._journal is not None and self._notable and not self._closed:
            analysis = analyse_participant(self._notable).markdown
            if self._settings.analysis_queries:
                analysis += await self._answers(analysis)
            self._journal.write(PerceptionAnalysed(analysis=analysis))
        self._closed = True

    # -- as a ContextProvider ---------------------------------------------------------------------

    def follow(self, partial: str) -> None:
        """Words are followed through the journal."""

    def note(self, text: str) -> str:
        """As `ContextProvider.note`."""
        return self._briefing.note(text) if self._settings.notes else ""

    def hint(self, text: str) -> str:
        """As `HintingProvider.hint`."""
        return self._briefing.hint(text) if self._settings.notes else ""

    # -- what is seen -----------------------------------------------------------------------------

    def _saw_there(self, sight: Sight, rgb: Rgb | None) -> None:
        """On the watch's thread."""
        assert self._loop is not None
        if not self._closed:
            self._loop.call_soon_threadsafe(self.saw, sight, rgb)

    def saw(self, sight: Sight, rgb: Rgb | None = None) -> None:
        """Take a sight; `rgb` is its picture, of which only the newest is kept, in memory."""
        if self._closed:
            return
        self._sight, self._rgb = sight, rgb
        self._faces.add(sight)
        text = self._describer.describe(sight)
        names = self._settings.emotion_recognition and sight.calibrated and sight.present
        named = self._describer.name(sight).name if names else "neutral"
        self._briefing.named = "" if named == "neutral" else f"Their face looks {named}."
        since_s = sight.t_s - self._written_s
        changed = text != self._briefing.seen and since_s >= LEAST_BETWEEN_S
        if text and (changed or since_s >= MOST_BETWEEN_S):
            if changed and sight.present and (text != PLAIN or self._vision is not None):
                self._noticed[text] = rgb
                self._notice.set()
            self._describe(sight, text)

    def _describe(self, sight: Sight, text: str) -> None:
        assert self._journal is not None and self._clock is not None
        self._briefing.seen, self._written_s = text, sight.t_s
        self._journal.write(
            ParticipantSeen(
                text=text,
                picture=sight.picture,
                people=sight.people,
                look=sight.look,
                smile=round(sight.smile, 2),
                brows=round(sight.raised - sight.furrowed, 2),
                valence=round(sight.valence, 2),
                arousal=round(sight.arousal, 2),
                hand=sight.hand,
                age_s=round(max(0.0, self._clock.now() - sight.t_s), 3),
            )
        )

    def _saw_screen_there(self, screen: ScreenState) -> None:
        """On the screen watch's thread."""
        assert self._loop is not None
        if not self._closed:
            self._loop.call_soon_threadsafe(self.saw_screen, screen)

    def saw_screen(self, screen: ScreenState) -> None:
        """Take what the shared screen shows now."""
        self._briefing.screen = screen
        if self._journal is not None and screen.shared and not self._closed:
            self._journal.write(ScreenRead(source="ocr", text="\n".join(screen.lines or ())))

    # -- questions and tools ----------------------------------------------------------------------

    async def _be_aware(self, clock: Clock) -> None:
        """Judge what is noticed, and what the words ask about, now and then."""
        if self._vision is not None:
            try:
                await self._vision.warm()
            except CviError as error:
                self._failed(error)
                await self._vision.close()
                self._vision = None
        while True:
            await self._notice.wait()
            self._notice.clear()
            noticed, self._noticed = self._noticed, {}
            seen = " Then: ".join(noticed) or self._briefing.seen
            frame = [self._rgb, *noticed.values()][-1]
            try:
                if self._vision is not None and frame is not None:
                    asked = " ".join((CAPTION, *self._settings.vision.queries))
                    self._briefing.caption = await self._vision.ask([jpeg(frame)], asked)
                    seen = f"{seen} In the picture: {self._briefing.caption}"
                await self._judge("vision", f"{seen} {self._briefing.named}", frame)
            except EngineError as error:
                self._failed(error)
            await clock.sleep_until(clock.now() + AWARE_EVERY_S)

    async def _judge(self, modality: Modality, known: str, frame: Rgb | None = None) -> None:
        if modality not in self._awareness or self._journal is None:
            return
        found = await self._awareness[modality].judge(known)
        for query, answer in found.answers.items():
            self._journal.write(AwarenessAnswered(modality=modality, query=query, answer=answer))
        if found.tool:
            frames = (jpeg(frame),) if frame is not None else ()
            arguments = dict(found.arguments)
            self._journal.write(
                PerceptionToolCalled(modality=modality, name=found.tool, arguments=arguments, frames=frames)
            )

    async def _judge_voice(self, known: str) -> None:
        try:
            await self._judge("audio", known)
        except EngineError as error:
            self._failed(error)

    async def _answers(self, analysis: str) -> str:
        """Answers to the persona's questions at the end, as markdown; what the model cannot say is left
        out."""
        assert self._llm is not None
        wanted = AwarenessSettings("vision", self._settings.analysis_queries)
        try:
            async with asyncio.timeout(ANALYSIS_WITHIN_S):
                found = await Awareness(wanted, self._llm).judge(analysis)
        except (EngineError, TimeoutError) as error:
            self._failed(error if isinstance(error, CviError) else EngineError("The analysis took too long."))
            return ""
        lines = [f"- {query} {answer}" for query, answer in found.answers.items() if answer]
        return "\n\n**Questions**\n\n" + "\n".join(lines) if lines else ""

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _failed_there(self, error: CviError) -> None:
        assert self._loop is not None
        if not self._closed:
            self._loop.call_soon_threadsafe(self._failed, error)

    def _failed(self, error: CviError) -> None:
        if self._journal is not None and not self._closed:
            self._journal.write(PerceptionUnavailable(why=str(error)))

    # -- what is said -----------------------------------------------------------------------------

    def _follow_journal(self, event: Event) -> None:
        if isinstance(event, ParticipantSeen | ParticipantHeard | TurnCommitted):
            self._notable.append(event)
        match event:
            case UserStartedSpeaking():
                self._turn_began_s = event.t
                self._looked = False
                self._words.clear()
                self._briefing.turn_began()
            case UserResumed():
                self._briefing.turn_resumed()
                self._turn_began_s = event.t if self._turn_began_s is None else self._turn_began_s
            case TranscriptPartial():
                self._look_where_asked(event.text)
                self._words.grew(event.text, event.t)
            case TranscriptFinal():
                self._look_where_asked(event.text)
                self._words.grew(event.text, event.t)
                self._judge_turn(event.text, event.t)
            case TurnCommitted():
                # Later, so that every reader of the journal has read the turn's event before this one's.
                assert self._loop is not None
                self._loop.call_soon(self._turn_ended, event)

    def _look_where_asked(self, text: str) -> None:
        """Once a turn, as soon as its words may be about what the camera shows."""
        if self._vision is not None and not self._looked and asks_about_sight(text):
            self._looked = True
            self._notice.set()

    def _judge_turn(self, text: str, now_s: float) -> None:
        """Sum up the turn so far, at each of its pauses: the hint for its draft needs it."""
        began_s = self._turn_began_s if self._turn_began_s is not None else now_s
        voice = self._hearing.between(began_s - 0.3, now_s)
        manner = self._hearing.baseline.manner(voice)
        found = mismatch(text, self._words, self._faces, (began_s, now_s), manner)
        self._briefing.turn_paused(manner, voice, found)

    def _turn_ended(self, event: TurnCommitted) -> None:
        assert self._journal is not None
        if self._closed:
            return
        span = (event.speech_start_s - 0.1, event.speech_end_s + 0.1)
        voice = self._hearing.between(*span)
        manner = self._hearing.baseline.manner(voice)
        self._hearing.learn(*span)
        self._turn_began_s = None
        self._journal.write(
            ParticipantHeard(
                turn=event.turn,
                text=describe_voice(manner, voice),
                pitch_hz=round(voice.pitch_hz, 1),
                pitch_range=round(voice.pitch_range, 1),
                level_db=round(voice.level_db, 1),
                syllables_per_s=round(voice.syllables_per_s, 2),
                pauses=voice.pauses,
                fillers=voice.fillers,
                manner=manner,
                mismatch=self._briefing.mismatch.text,
            )
        )
        said = describe_voice(manner, voice)
        if said and "audio" in self._awareness:
            self._run(self._judge_voice(f'They said "{event.text}". {said} {self._briefing.mismatch.text}'))
        if self._sight.present:  # tells how old the state was when the turn was over
            self._describe(self._sight, self._describer.describe(self._sight))
