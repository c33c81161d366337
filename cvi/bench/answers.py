"""`cvi bench answers`: questions to the shipped personas in typed conversations, graded by rules.

The questions and the rules stand in `answers.yaml`, whose head explains them. Nothing is graded by a model:
every rule is a regular expression or a number of sentences, so that a person can check each verdict by eye.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from rich.console import Console
from rich.markup import escape

from cvi.bench.layers.measurement import finish, proportion, show_progress
from cvi.bench.run import Figure, Variant
from cvi.bench.run_store import RunRecorder
from cvi.clock import Clock
from cvi.conversation.capabilities import Capabilities
from cvi.conversation.conversation import Conversation
from cvi.conversation.events import EngineFailed
from cvi.conversation.journal import Journal, read_journal
from cvi.conversation.settings import ConversationSettings, TextEngines
from cvi.engines import ResolvedConfig, build_llm, conversation_settings, resolve
from cvi.errors import EngineError, UsageError
from cvi.llm.base import LlmEngine
from cvi.persona.loading import load_persona
from cvi.persona.schema import Persona
from cvi.transport.text import TextTransport
from cvi.yaml_document import read_yaml

QUESTIONS = Path(__file__).with_name("answers.yaml")
ANSWERS_NAME = "answers.json"
_CURLY = str.maketrans("‘’“”", "''\"\"")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)]*(?=\s|$)")

Kind = Literal["role", "world", "thread", "limits", "character"]


def _compiles(pattern: str) -> str:
    re.compile(pattern)
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rules(_Section):
    """What an answer must and must not say. Patterns are searched for in the whole answer, ignoring case."""

    names: list[Pattern] = Field(default_factory=list)
    """All must be found: the thing that was asked for."""
    uses: list[Pattern] = Field(default_factory=list)
    """All must be found: what was said before."""
    admits: list[Pattern] = Field(default_factory=list)
    """One must be found: that it can't, doesn't know, or isn't."""
    denies: list[Pattern] = Field(default_factory=list)
    """None may be found: the contrary of what was told or is so."""
    invents: list[Pattern] = Field(default_factory=list)
    """None may be found: something untrue about itself or about what it did."""
    breaks: list[Pattern] = Field(default_factory=list)
    """None may be found: words outside of its role or of spoken language."""
    sentences: Annotated[int, Field(gt=0)] | None = None
    """At most so many."""


class PersonaQuestion(Rules):
    """What is asked, what kind of question it is, and the rules for its answer."""

    ask: Annotated[str, Field(min_length=1)]
    kind: Kind


class QuestionSet(_Section):
    """Conversations by persona: each a list of questions that are asked in order. `always` holds for all."""

    always: Rules
    patterns: list[Pattern] = Field(default_factory=list)
    personas: dict[str, list[list[PersonaQuestion]]]


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What was answered; `conversation` counts the persona's conversations from 1."""

    persona: str
    conversation: int
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """An answer, the kind of its question, and a sentence for each rule it breaks."""

    given: GivenAnswer
    kind: str
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it breaks no rule."""
        return not self.faults


def load_questions(path: Path = QUESTIONS) -> QuestionSet:
    """The questions and rules of a file. Raises UsageError for one that cannot be read."""
    try:
        return QuestionSet.model_validate(read_yaml(path))
    except (ValidationError, re.error) as error:
        raise UsageError(f"{path} is not a set of questions: {error}") from error


def faults_of(answer: str, rules: Rules, always: Rules | None = None) -> tuple[str, ...]:
    """A sentence for each rule that the answer breaks; `always` are rules besides."""
    text = answer.translate(_CURLY).strip()
    if not text:
        return ("It says nothing.",)
    others = always or Rules()

    def found(pattern: str) -> re.Match[str] | None:
        return re.search(pattern, text, re.IGNORECASE | re.MULTILINE)

    faults = [
        f"{name}: /{pattern}/ is missing."
        for name in ("names", "uses")
        for pattern in (*getattr(rules, name), *getattr(others, name))
        if not found(pattern)
    ]
    if rules.admits and not any(found(pattern) for pattern in rules.admits):
        faults.append(f"admits: none of /{'/, /'.join(rules.admits)}/ is there.")
    faults += [
        f"{name}: “{match[0]}” is there (/{pattern}/)."
        for name in ("denies", "invents", "breaks")
        for pattern in (*getattr(rules, name), *getattr(others, name))
        if (match := found(pattern))
    ]
    most = rules.sentences or others.sentences
    if most is not None and (count := count_sentences(text)) > most:
        faults.append(f"sentences: {count}, and at most {most} are allowed.")
    return tuple(faults)


def count_sentences(text: str) -> int:
    """How many sentences there are, by their ends; words after the last end are one more."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    rest = text[ends[-1] if ends else 0 :].strip()
    return len(ends) + bool(rest)


def grade(answers: Iterable[GivenAnswer], questions: QuestionSet) -> list[GradedAnswer]:
    """Every answer with what is wrong with it. Raises UsageError for an answer to no question of the set."""
    known = {
        (name, number, question.ask): question
        for name, conversations in questions.personas.items()
        for number, asked in enumerate(conversations, 1)
        for question in asked
    }
    graded = []
    for given in answers:
        question = known.get((given.persona, given.conversation, given.question))
        if question is None:
            where = f"conversation {given.conversation} with '{given.persona}'"
            raise UsageError(
                f"“{given.question}” is not asked in {where}.", f"The questions are in {QUESTIONS}."
            )
        graded.append(GradedAnswer(given, question.kind, faults_of(given.answer, question, questions.always)))
    return graded


def read_answers(path: Path) -> list[GivenAnswer]:
    """Answers from a file like a run's `answers.json`. Raises UsageError."""
    try:
        return TypeAdapter(list[GivenAnswer]).validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"{path} holds no answers: {error}",
            'Write a JSON list of {"persona": ..., "conversation": 1, "question": ..., "answer": ...}.',
        ) from error


async def hold_conversation(
    settings: ConversationSettings,
    llm: LlmEngine,
    asked: Sequence[str],
    journal_path: Path,
    capabilities: Capabilities | None = None,
) -> list[str]:
    """The answers to what is typed, one after the other, in a conversation of its own.

    Raises EngineError when the model fails: the apology that is shown then is no answer.
    """
    clock = Clock()
    journal = Journal(journal_path, clock)
    shown: list[str] = []
    transport = TextTransport(shown.append)
    conversation = Conversation(settings, TextEngines(llm), None, transport, journal, clock, capabilities)
    running = asyncio.create_task(conversation.run())
    answers = []
    try:
        goes_on = await conversation.answered()
        for text in asked:
            shown.clear()
            if goes_on:
                conversation.respond(text)
                goes_on = await conversation.answered()
            answers.append(" ".join(clause.strip() for clause in shown))
    finally:
        conversation.end("participant_left")
        try:
            await running
        finally:
            journal.close()
    failed = [event for event in read_journal(journal_path) if isinstance(event, EngineFailed)]
    if failed:
        raise EngineError(f"The language model failed: {failed[0]}.")
    return answers


def measure_answers(
    names: Sequence[str],
    *,
    profile: str,
    answers: Path | None,
    output: Path | None,
    json: bool,
) -> None:
    """Ask the personas `names` (none: all), or grade the file `answers`; write the run and print it.

    Raises UsageError for a persona without questions, MissingError, EngineError.
    """
    questions = load_questions()
    for name in names:
        if name not in questions.personas:
            raise UsageError(
                f"There are no questions for the persona '{name}'.",
                f"Choose from: {', '.join(questions.personas)}.",
            )
    chosen = [name for name in questions.personas if not names or name in names]
    recorder = RunRecorder("answers", {"personas": chosen}, profile=profile, output=output)
    if answers is not None:
        given = [answer for answer in read_answers(answers) if answer.persona in chosen]
        engines = {"llm": f"answers of {answers.name}"}
    else:
        given, engines = asyncio.run(_ask_all(chosen, questions, profile, recorder))
    graded = grade(given, questions)
    if not graded:
        raise UsageError("There is no answer to grade.", "See --persona and --answers.")
    recorder.write(ANSWERS_NAME, [asdict(item.given) for item in graded])
    if not json:
        _print_failures(graded)
    variant = Variant("cvi", engines["llm"], engines, figures=tuple(_figures(graded)))
    finish(recorder, [variant], json)


async def _ask_all(
    names: Sequence[str], questions: QuestionSet, profile: str, recorder: RunRecorder
) -> tuple[list[GivenAnswer], dict[str, str]]:
    """All answers, and the engine that gave them. A persona that must not run on the profile is asked too,
    and a note says so."""
    total = sum(len(asked) for name in names for asked in questions.personas[name])
    tell = show_progress(total)
    given: list[GivenAnswer] = []
    engines: dict[str, str] = {}
    for name in names:
        persona = load_persona(name)
        config = resolve(persona.model_copy(update={"least_profile": "embedded"}), profile=profile)
        recorder.profile = config.profile.name
        if not persona.may_run_on(config.profile.name):
            recorder.notes.append(
                f"'{name}' is asked for this measurement only: the model of the profile "
                f"'{config.profile.name}' is too small for what is at stake."
            )
        engines["llm"] = f"{config.llm.engine} {_model_name(config)}"
        llm = await build_llm(config)
        try:
            for number, asked in enumerate(questions.personas[name], 1):
                settings = conversation_settings(config, f"{name}-{number}", typed=True)
                journal = recorder.folder / f"{name}-{number}.jsonl"
                texts = [question.ask for question in asked]
                said = await hold_conversation(settings, llm, texts, journal)
                recorder.files.append(journal.name)
                for question, answer in zip(texts, said, strict=True):
                    given.append(GivenAnswer(name, number, question, answer))
                    tell(name)
        finally:
            await llm.close()
    return given, engines


def _model_name(config: ResolvedConfig) -> str:
    persona: Persona = config.persona
    model = persona.layers.llm.model or config.llm.model
    return Path(model).stem if model else "of the package"


def _figures(graded: Sequence[GradedAnswer]) -> Iterable[Figure]:
    def passed(name: str, label: str, items: Iterable[GradedAnswer]) -> Figure:
        return proportion(name, label, [item.passed for item in items], lower_is_better=False)

    yield passed("passed", "answers that break no rule", graded)
    for persona in dict.fromkeys(item.given.persona for item in graded):
        theirs = [item for item in graded if item.given.persona == persona]
        yield passed(f"passed_{persona}", persona, theirs)
    for kind, label in _KINDS.items():
        if same := [item for item in graded if item.kind == kind]:
            yield passed(f"passed_{kind}", label, same)


_KINDS: Mapping[str, str] = {
    "role": "what its role asks for",
    "world": "about the world",
    "thread": "about what was said",
    "limits": "about what it can't do",
    "character": "bait to leave its role",
}


def _print_failures(graded: Sequence[GradedAnswer]) -> None:
    """Every answer that breaks a rule, with its question."""
    console = Console(highlight=False, soft_wrap=True)
    for item in graded:
        if item.passed:
            continue
        console.print(f"[bold]{escape(item.given.persona)}[/], {item.kind}: {escape(item.given.question)}")
        console.print(f"  {escape(item.given.answer)}")
        for fault in item.faults:
            console.print(f"  [red]{escape(fault)}[/]")
