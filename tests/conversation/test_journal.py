"""The journal: every event written and read back, journals of the format before, damaged files."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cvi.clock import Clock
from cvi.conversation import events
from cvi.conversation.events import EVENT_TYPES, Event, PlayoutFigures, UnknownEvent, event_from_json
from cvi.conversation.journal import FORMAT, Journal, read_journal
from cvi.conversation.latency import barge_ins, turn_latencies
from cvi.conversation.transcript import transcript
from cvi.errors import CviError
from cvi.testing.virtual_time import run_virtual

JOURNALS = Path(__file__).parent / "journals"
FIGURES = json.loads((JOURNALS / "format_1_figures.json").read_text())

VALUES: dict[Any, Any] = {
    list[str]: ["a line", "another"],
    int: 3,
    float: 1.25,
    str: "text",
    bool: True,
    int | None: 4,
    float | None: 0.5,
    str | None: "stt",
    dict[str, str]: {"stt": "fake"},
    dict[str, float]: {"words": 1.5},
    tuple[bytes, ...]: (b"jpeg",),
    dict[str, Any]: {"day": "monday", "count": 2},
    list[dict[str, Any]]: [{"objective_name": "person", "status": "active", "output_variables": {"name": "Ann"}}],
    PlayoutFigures | None: PlayoutFigures(10, 1, 2, 0, 0, 1.5),
}


def example(kind: type[Event]) -> Event:
    """An event of this class with a value in each field."""
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):
        hint = hints[field.name]
        values[field.name] = hint.__args__[0] if isinstance(getattr(hint, "__args__", (0,))[0], str) else VALUES[hint]
    return kind(**{**values, "seq": 0, "t": 0.0})


def written(path: Path, *happened: Event) -> list[Event]:
    """What `write` returns for these events, the last a second after the others."""

    async def write() -> list[Event]:
        clock = Clock()
        journal = Journal(path, clock)
        first = [journal.write(event) for event in happened[:-1]]
        await clock.sleep_until(1.0)
        last = journal.write(happened[-1])
        journal.close()
        return [*first, last]

    return run_virtual(write())


def test_there_are_events_and_each_has_a_name_of_its_own() -> None:
    classes = [value for value in vars(events).values() if isinstance(value, type) and issubclass(value, Event)]
    assert set(EVENT_TYPES.values()) == set(classes) - {Event, UnknownEvent}
    assert len(EVENT_TYPES) >= 40


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_every_event_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    event = example(EVENT_TYPES[name])
    (one,) = written(tmp_path / "journal.jsonl", event)
    assert list(read_journal(tmp_path / "journal.jsonl")) == [one]
    assert one.t == 1.0 and one.type == name
    assert event.__doc__ and not event.__doc__.startswith(type(event).__name__), "a docstring of its own"


def test_the_journal_sets_numbers_and_times(tmp_path: Path) -> None:
    started = events.ConversationStarted(conversation_id="c1")
    ended = events.ConversationEnded(reason="asked")
    path = tmp_path / "journal.jsonl"
    assert [(event.seq, event.t) for event in written(path, started, ended)] == [(0, 0.0), (1, 1.0)]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("format") for line in lines] == [FORMAT, None]
    assert lines[1] == {"seq": 1, "t": 1.0, "type": "conversation_ended", "reason": "asked"}


@pytest.mark.parametrize("name", ["format_1_spoken", "format_1_steered", "format_1_typed"])
def test_a_journal_of_format_1_gives_the_same_transcript_and_latency(name: str) -> None:
    path = JOURNALS / f"{name}.jsonl"
    journal = list(read_journal(path))
    assert not [event for event in journal if isinstance(event, UnknownEvent)]
    assert {
        "transcript": [asdict(line) for line in transcript(journal)],
        "latency": [asdict(turn) for turn in turn_latencies(journal)],
        "barge_ins": [asdict(cut) for cut in barge_ins(journal)],
    } == FIGURES[name]
    assert [json.dumps(event.to_json()) for event in journal] == path.read_text().splitlines()


def test_unknown_fields_are_left_out_and_unknown_events_kept_as_they_are() -> None:
    heard = event_from_json({"seq": 1, "t": 2.0, "type": "reply_heard", "reply": 1, "text": "Hi", "words": 1})
    assert heard == events.ReplyHeard(seq=1, t=2.0, reply=1, text="Hi")
    line = {"seq": 1, "t": 2.0, "type": "of_another_version", "name": "look_up"}
    other = event_from_json(dict(line))
    assert isinstance(other, UnknownEvent) and other.to_json() == line


def test_a_line_cut_short_at_the_end_is_left_out_and_one_inside_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = (JOURNALS / "format_1_typed.jsonl").read_text()
    path.write_text(whole[:-20])
    assert len(list(read_journal(path))) == len(whole.splitlines()) - 1
    for wrong in ("[1]", "{", '{"seq": 1, "t": 0.1, "type": "reply_heard", "reply": "one"}', '{"t": 1, "type": "x"}'):
        path.write_text(f"{wrong}\n{whole}")
        with pytest.raises(CviError, match=r"journal\.jsonl:1.*damaged"):
            list(read_journal(path))


def test_a_journal_of_a_later_version_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(f'{{"seq": 0, "t": 0.0, "type": "conversation_began", "format": {FORMAT + 1}}}\n')
    with pytest.raises(CviError, match="later version"):
        list(read_journal(path))


def test_a_full_disk_ends_the_file_and_not_the_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    async def write() -> None:
        journal = Journal(tmp_path / "journal.jsonl", Clock())
        read: list[Event] = []
        journal.subscribe(read.append)
        monkeypatch.setattr(journal, "_file", Full())
        journal.write(events.ContextAppended(text="It rains."))
        journal.write(events.ContextAppended(text="It snows."))
        assert journal.broken and [event.seq for event in read] == [0, 1]
        journal.close()

    run_virtual(write())
