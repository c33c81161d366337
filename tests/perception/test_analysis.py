"""The summary at the end and its page, from a journal's events."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvi.bench.report.conversation_page import conversation_page, write_conversation_page
from cvi.clock import Clock
from cvi.conversation.events import (
    ConversationEnded,
    ConversationStarted,
    GuardrailTriggered,
    HumanRequested,
    ObjectiveCompleted,
    ParticipantHeard,
    ParticipantSeen,
    ReplyFinished,
    ReplyFirstAudio,
    ToolCalled,
    ToolResolved,
    TurnCommitted,
)
from cvi.conversation.journal import JOURNAL_NAME, Journal, load_record
from cvi.perception.analysis import analyse_participant
from cvi.testing.virtual_time import run_virtual

TURN = TurnCommitted(
    turn=1, reply=1, text="That's fine.", speech_start_s=4.0, speech_end_s=5.0, silence_ms=300,
    completeness=0.9, draft_hit=True,
)  # fmt: skip
HAPPENED = (
    (0.0, ConversationStarted(conversation_id="c0123456789ab", persona="June")),
    (1.0, ParticipantSeen(text="They are looking at you.", people=1, look="screen")),
    (3.0, ParticipantSeen(text="They are looking down.", people=1, look="down", brows=-0.8)),
    (5.3, TURN),
    (
        5.3,
        ParticipantHeard(
            turn=1, text="Their voice sounds slow.", manner=["slow"], mismatch='They say "fine".'
        ),
    ),
    (6.0, ReplyFirstAudio(reply=1, at_s=6.0)),
    (7.0, ParticipantSeen(text="They are looking at you and smiling.", people=1, look="screen", smile=0.9)),
    (8.0, ReplyFinished(reply=1, text="Shall I go over it <again>?")),
    (8.5, ToolCalled(call="t1", reply=1, name="book", arguments={"day": "monday"}, delivery="app_message")),
    (10.0, ParticipantSeen(text="Nobody is in front of the camera.", people=0)),
    (12.0, ConversationEnded(reason="participant_left")),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    async def write() -> None:
        clock = Clock()
        journal = Journal(tmp_path / "c0123456789ab" / JOURNAL_NAME, clock)
        for at_s, event in HAPPENED:
            await clock.sleep_until(at_s)
            journal.write(event)
        journal.close()

    run_virtual(write())
    return tmp_path


def test_attention_moments_and_manner(folder: Path) -> None:
    analysis = analyse_participant(load_record(folder, "c0123456789ab").events)
    assert analysis.seen_s == pytest.approx(9.0)
    assert analysis.attention == pytest.approx(5.0 / 9.0)
    assert [(moment.at_s, moment.what) for moment in analysis.moments] == [
        (3.0, "brows drawn together"),
        (4.0, 'They say "fine".'),
        (7.0, "a smile"),
    ]
    assert "56%" in analysis.markdown and "slow 1x" in analysis.markdown


def test_the_page_has_everything_on_one_time_line(folder: Path, tmp_path: Path) -> None:
    record = load_record(folder, "c0123456789ab")
    page = conversation_page(record)
    assert [lane.name for lane in page.lanes] == [
        "you speak", "persona speaks", "floor passes", "eyes", "smile", "brows", "voice", "tools",
    ]  # fmt: skip
    pytest.importorskip("jinja2")
    write_conversation_page(record, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert "Shall I go over it &lt;again&gt;?" in html
    assert "book" in html and "That&#39;s fine." in html


def test_goals_and_rules_stand_on_the_page_of_a_conversation_without_a_picture(tmp_path: Path) -> None:
    async def write() -> None:
        journal = Journal(tmp_path / "c0123456789ab" / JOURNAL_NAME, Clock())
        for event in (
            ConversationStarted(conversation_id="c0123456789ab", persona="June"),
            ToolCalled(call="1", reply=1, name="look_up", arguments={"topic": "gifts"}, delivery="python"),
            ToolResolved(call="1", name="look_up", output="<b>fifty</b>", took_s=1.5),
            ObjectiveCompleted(objective="decide", output_variables={"what": "ask"}, confirmed_by=""),
            GuardrailTriggered(
                reply=1, guardrail="crisis", side="participant", by="pattern", action="escalate", text="x"
            ),
            HumanRequested(source="crisis", reason="x"),
            ConversationEnded(reason="end"),
        ):
            journal.write(event)
        journal.close()

    run_virtual(write())
    record = load_record(tmp_path, "c0123456789ab")
    page = conversation_page(record)
    tools, policy = (each for each in page.lanes if each.bars)
    assert [each.says for each in tools.bars] == [
        'look_up is called: {"topic": "gifts"}', "look_up answers after 1.5 s: <b>fifty</b>",
    ]  # fmt: skip
    assert [each.says for each in policy.bars] == [
        "decide completed; what: ask", "crisis (escalate): x", "a human is asked for by crisis",
    ]  # fmt: skip
    assert [each.what for each in page.acts] == ["tool", "tool", "goal", "rule", "rule"]
    pytest.importorskip("jinja2")
    write_conversation_page(record, tmp_path / "report.html")
    assert "look_up answers after 1.5 s: &lt;b&gt;fifty" in (tmp_path / "report.html").read_text()
