"""What `cvi talk` does with its options: check them, set the stage, hold the conversation, report."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from cvi.capabilities import build_capabilities
from cvi.cli.models import profile_of
from cvi.cli.options import TalkRequest, check_caller, check_options, is_scenario, picture_size
from cvi.cli.report import print_latency, print_transcript
from cvi.cli.typed import settle, type_conversation
from cvi.clock import Clock
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import EngineFailed, Event, MemoryFailed, Overloaded, PerceptionUnavailable
from cvi.conversation.journal import JOURNAL_NAME, RECORDING_NAME, Journal, load_record, new_id
from cvi.conversation.settings import ConversationSettings
from cvi.engines import ResolvedConfig, build_engine_set, conversation_settings, resolve
from cvi.errors import CviError, UsageError
from cvi.memory.store import MemoryKey, participant_name
from cvi.paths import conversations_dir
from cvi.persona.field_effects import not_in_effect
from cvi.persona.loading import load_document, load_persona
from cvi.transport.devices import cameras
from cvi.transport.file import FileTransport
from cvi.transport.local import LocalTransport
from cvi.untrusted import printable


def run_talk(request: TalkRequest) -> None:
    """Hold the conversation and print what came of it. Raises CviError."""
    console = Console(stderr=True, highlight=False)
    width, height = picture_size(request.size)
    check_options(request)
    if request.caller is not None and not is_scenario(request.caller):
        check_caller(request.caller)
    persona = load_persona(request.persona)
    remembered = remembered_by(request.participant, persona.persona_name)
    if persona.memory.remember and not remembered:
        console.print("Nothing will be remembered: say who talks with --participant NAME.", style="yellow")
        persona = persona.model_copy(update={"memory": persona.memory.model_copy(update={"remember": False})})
    find_profile = partial(profile_of, yes=request.yes)
    chosen = resolve(persona, replica=request.replica, profile=request.profile, profile_of=find_profile)
    if chosen.note:
        console.print(chosen.note, style="yellow")
    _say_what_does_nothing(request.persona, chosen, console)
    conversation_id = new_id()
    folder = conversations_dir() / conversation_id
    settings = conversation_settings(
        chosen, conversation_id, conversational_context=request.context, typed=request.text
    )
    began = datetime.now(UTC).isoformat(timespec="seconds")
    names = [key.participant for key in remembered]
    settings = replace(settings, facts=replace(settings.facts, began=began, participants=names))
    if request.text:
        asyncio.run(type_conversation(chosen, settings, folder, request.permissions, remembered))
    else:
        asyncio.run(_speak(request, chosen, settings, folder, (width, height), console, remembered))
    _report(conversation_id, request, console)


def remembered_by(participant: str | None, persona: str) -> list[MemoryKey]:
    """Whose memory a conversation has; none for somebody who was not named. Raises UsageError."""
    return [] if participant is None else [MemoryKey(participant_name(participant), persona)]


def _say_what_does_nothing(name: str, chosen: ResolvedConfig, console: Console) -> None:
    fields: dict[str, list[str]] = {}
    for each in not_in_effect(load_document(name), served=False, small_model=chosen.small_model):
        fields.setdefault(each.why, []).append(each.field)
    for why, names in fields.items():
        console.print(f"No effect here: {', '.join(names)} ({why})", style="dim", markup=False)


async def _speak(
    request: TalkRequest,
    chosen: ResolvedConfig,
    settings: ConversationSettings,
    folder: Path,
    size: tuple[int, int],
    console: Console,
    remembered: Sequence[MemoryKey],
) -> None:
    # Threads hand the interpreter over every millisecond: a frame must not wait five for it.
    sys.setswitchinterval(0.001)
    clock = Clock()
    sees = chosen.persona.layers.perception.perception_model != "off"
    transport = _transport(request, clock, folder, size, settings.persona_name, sees)
    journal: Journal | None = None
    engines = None
    capabilities = None
    failure: CviError | None = None
    try:
        if request.caller is not None:
            await transport.open()  # a wrong file is told before the models are read
        with console.status("Warming up...") as status:
            waiting = {"vad", "stt", "llm", "tts", "face"}

            def ready(layer: str) -> None:
                waiting.discard(layer)
                status.update(f"Warming up: {', '.join(sorted(waiting))}" if waiting else "Ready")

            width, height = size
            engines = await build_engine_set(
                chosen, settings, width=width, height=height, fps=request.fps, progress=ready
            )
        if request.caller is None:
            await transport.open()
        journal = Journal(folder / JOURNAL_NAME, clock)
        journal.subscribe(partial(_say_troubles, console))
        capabilities = await build_capabilities(chosen, request.permissions, remembered, settings.context)
        conversation = Conversation(
            settings, engines.layers, engines.render, transport, journal, clock, capabilities
        )
        _say_what_to_do(request, transport, conversation, console)
        with _signals(conversation.end):
            reason = await conversation.run()
    finally:
        failure = await _close(transport)
        if capabilities is not None:
            await settle(capabilities, console)
        if engines is not None:
            await engines.close()
        if journal is not None:
            journal.close()
    if failure is not None:
        raise failure
    _complain(transport, journal, console)
    if reason == "caller_over" and not conversation.had_a_turn:
        raise CviError("No speech was heard in the caller's recording.", "Listen to it: is there a voice?")


def _transport(
    request: TalkRequest, clock: Clock, folder: Path, size: tuple[int, int], title: str, sees: bool
) -> FileTransport | LocalTransport:
    width, height = size
    recording = folder / RECORDING_NAME if request.output is not None else None
    if request.caller is not None:
        from cvi.transport.scenario import load_scenario

        return FileTransport(
            load_scenario(request.caller) if is_scenario(request.caller) else request.caller,
            request.output,
            clock=clock,
            fps=request.fps,
            width=width,
            height=height,
            stereo=request.stereo,
            wait=request.wait,
            recording=recording,
        )
    return LocalTransport(
        clock=clock,
        fps=request.fps,
        width=width,
        height=height,
        camera=_camera(request.camera) if sees else None,
        microphone=_device_or_file(request.microphone),
        speaker=_number_or_name(request.speaker),
        window=request.window,
        headphones=request.headphones,
        title=title or "cvi",
        recording=recording,
        output=request.output,
        stereo=request.stereo,
    )


def _camera(name: str | None) -> int | Path | None:
    """The camera asked for; the first one there is when none was named."""
    if name == "none":
        return None
    if name is None:
        found = cameras()
        return found[0].number if found else None
    chosen = _device_or_file(name)
    if isinstance(chosen, str):
        raise UsageError(f"--camera {name} is neither a camera's number nor a film.", "See `cvi devices`.")
    return chosen


def _device_or_file(name: str | None) -> int | str | Path | None:
    if name is not None and Path(name).is_file():
        return Path(name)
    return _number_or_name(name)


def _number_or_name(name: str | None) -> int | str | None:
    return int(name) if name is not None and name.isdigit() else name


def _say_what_to_do(
    request: TalkRequest,
    transport: FileTransport | LocalTransport,
    conversation: Conversation,
    console: Console,
) -> None:
    if isinstance(transport, FileTransport):
        console.print(f"Playing {request.caller} in real time; Ctrl-C ends and keeps all.", style="dim")
        return

    def control(name: str) -> None:
        if name == "interrupt":
            conversation.interrupt()
        elif name == "quit":
            conversation.end("participant_left")

    transport.on_control = control
    if not request.headphones and request.microphone is None and transport.half_duplex:
        console.print(
            "The microphone rests while the persona speaks; --headphones lets you talk over it.",
            style="yellow",
        )
    keys = "M mutes, Space interrupts, Q quits" if request.window else "Ctrl-C ends"
    console.print(f"Speak when you like. {keys}; everything is kept.", style="dim")


async def _close(transport: FileTransport | LocalTransport) -> CviError | None:
    """Close, and keep the complaint until everything else is closed too."""
    try:
        await transport.close()
    except CviError as error:
        return error
    return None


def _say_troubles(console: Console, event: Event) -> None:
    if isinstance(event, Overloaded | MemoryFailed):
        console.print(event.message, style="yellow")
    elif isinstance(event, PerceptionUnavailable):
        console.print(f"I can't see you: {event.why}", style="yellow")


def _complain(transport: FileTransport | LocalTransport, journal: Journal, console: Console) -> None:
    """What went wrong beside the conversation. Raises CviError for a journal that is not whole."""
    if transport.dropped_frames:
        console.print(f"The recording misses {transport.dropped_frames} frames.", style="yellow")
    journal.check()


class _signals:  # noqa: N801 - reads as a statement
    """Ctrl-C and SIGTERM end the conversation cleanly; a second Ctrl-C is the usual one."""

    def __init__(self, end: Callable[[str], None]) -> None:
        self._end = end

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self._end("stopped")
        self.__exit__()


def _report(conversation_id: str, request: TalkRequest, console: Console) -> None:
    record = load_record(conversations_dir(), conversation_id)
    console.print()
    if not request.text:
        print_transcript(record)
        print_latency(record)
    if request.output is not None and request.output.is_file():
        console.print(f"Recording  {request.output}")
    console.print(f"Journal    {record.folder / JOURNAL_NAME}", soft_wrap=True)
    console.print(f"Again      cvi show {conversation_id}")
    failures = [each.message for each in record.events if isinstance(each, EngineFailed | MemoryFailed)]
    if failures:
        raise CviError(
            f"The conversation was held, but {len(failures)} times a part of it failed; "
            f"the last time: {printable(failures[-1])}"
        )
