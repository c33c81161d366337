"""What a language model makes of what it is told: answers from the passage, or says that it does not know.

Each question is a typed conversation of its own with a persona that knows the document that the question is
about: there are two hotels and two insurances among them. Answers are graded by regular expressions that
stand beside the questions, so that a person can check each verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from cvi.bench.answers import hold_conversation
from cvi.bench.kept_answers import KeptAnswers
from cvi.bench.knowledge.question_set import Question, Source
from cvi.capabilities import policy_capabilities
from cvi.conversation.events import ContextProvided
from cvi.conversation.journal import read_journal
from cvi.embeddings.base import Embedder
from cvi.engines import ResolvedConfig, build_llm, conversation_settings, resolve
from cvi.knowledge.notes import BUDGETS
from cvi.knowledge.provider import KnowledgeProvider
from cvi.knowledge.search import Scope
from cvi.knowledge.store import every_document, open_store
from cvi.persona.layers import Layers, Perception
from cvi.persona.policy import Knowledge
from cvi.persona.schema import Persona

ANSWERABLE, UNANSWERABLE = 60, 30
_UNKNOWN = (
    "know say mention state tell provide contain include have find answer list cover give see indicate "
    "specify mentioned stated specified provided covered listed included sure available aware"
).split()
_REFUSES = re.compile(
    rf"(not|n['’]t|n['’]t able to|unable to) ({'|'.join(_UNKNOWN)}|in the)|unsure|"
    r"(not|n['’]t) help with|no (information|mention|details)|(is|are) silent|nothing (in|about)",
    re.IGNORECASE,
)
_DECLINES = re.compile(
    r"(not|n['’]t|unable to) (know|say|tell|find|answer|remember|mention|specify|state|provide)\b|"
    r"unsure|silent|no (information|mention|details)|"
    r"(not|n['’]t) have (any |the |that )?(information|details)",
    re.IGNORECASE,
)
"""What is no answer, whatever a question's pattern says: "n't" is the answer to many."""
PERSONA = Persona(
    persona_name="Ada",
    layers=Layers(perception=Perception(perception_model="off")),
    knowledge=Knowledge(tags=["asked"]),
    system_prompt=(
        "You are Ada at an information desk. Visitors ask you about rules and prices. You know nothing about "
        "these but what the documents say that you are given."
    ),
)


@dataclass(frozen=True, slots=True)
class GroundedAnswer:
    """One question's answer.

    `written` is the model's own reply, `answer` what was said of it, `note` what the model was told; `told`:
    what it asks for stood in the note. `right`: it was answered so, or, without an answer, refused.
    """

    question: Question
    written: str
    answer: str
    note: str
    passages: list[str]
    told: bool
    right: bool


def chosen_questions(
    sources: Sequence[Source], *, every: bool = False
) -> tuple[list[Question], list[Question]]:
    """Those that are asked, with and without an answer: the first of each English document; `every` one."""
    if every:
        asked = [each for source in sources for each in source.questions]
        return [each for each in asked if each.passage], [each for each in asked if not each.passage]
    graded = [
        [each for each in source.questions if each.passage and source.language == "en"] for source in sources
    ]
    rounds = [each[number] for number in range(12) for each in graded if number < len(each)]
    without = [each for source in sources for each in source.questions if not each.passage]
    return rounds[:ANSWERABLE], without[:UNANSWERABLE]


def alternating(answerable: Sequence[Question], without: Sequence[Question]) -> list[Question]:
    """Two with an answer, one without, and so on: a run that is stopped has asked of both."""
    pairs = (answerable[first : first + 2] for first in range(0, len(answerable), 2))
    rounds = zip_longest(pairs, without)
    return [each for pair, one in rounds for each in (*(pair or ()), one) if each is not None]


async def ask_all(
    base: Path,
    questions: Sequence[Question],
    embedder: Embedder,
    profile: str,
    folder: Path,
    kept: Path | None,
    tell: Callable[[GroundedAnswer], None],
) -> tuple[list[GroundedAnswer], ResolvedConfig]:
    """Every question's answer; the model's replies are kept in the file `kept` for the next time.

    Raises MissingError, EngineError.
    """
    config = resolve(PERSONA, profile=profile)
    llm = KeptAnswers(
        await build_llm(config), Path(config.llm.model or "").name, kept or folder / "replies.jsonl"
    )
    connection = open_store(base)
    ids = {each.name: each.id for each in every_document(connection)}
    connection.close()
    answers = []
    try:
        for number, question in enumerate(questions):
            scope = Scope(frozenset([ids[question.document]]))
            provider = KnowledgeProvider(embedder, scope, BUDGETS["balanced"], path=base)
            settings = conversation_settings(config, f"question-{number}", typed=True)
            journal = folder / f"question-{number}.jsonl"
            policy = policy_capabilities(PERSONA, config.language, small_model=config.small_model)
            capabilities = replace(policy, providers=[provider])
            (said,) = await hold_conversation(settings, llm, [question.text], journal, capabilities)
            events = [event for event in read_journal(journal) if isinstance(event, ContextProvided)]
            noted = " ".join(event.text for event in events)
            told = bool(question.passage and re.search(question.passage, noted, re.IGNORECASE))
            passages = [line for event in events for line in event.passages]
            right = is_right(question, said)
            graded = GroundedAnswer(question, llm.last, said, noted, passages, told, right)
            answers.append(graded)
            tell(graded)
            provider.close()
    finally:
        await llm.close()
    return answers, config


def is_right(question: Question, answer: str) -> bool:
    """Whether the answer is given, not declined, or, where there is none, that it is refused."""
    if not question.passage:
        return _REFUSES.search(answer) is not None
    given = re.search(question.answer or question.passage, answer, re.IGNORECASE) is not None
    return given and _DECLINES.search(answer) is None
