"""Two conversations in virtual time: what is said in the first is recalled in the second."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest

from cvi.conversation.capabilities import Capabilities
from cvi.conversation.events import MemoriesRecalled, MemoryFailed, MemoryKept
from cvi.memory import participant, store
from cvi.memory.extraction import SaidTurn, grounded
from cvi.memory.recall import spoken_form, to_second_person
from cvi.memory.store import MemoryKey, find_stores, make_store, memories_of, open_memory
from cvi.testing.fakes import FakeLlm
from cvi.testing.script import Script


class WordEmbedder:
    """Texts that share words are near each other."""

    name, dimensions = "words", 64

    def passages(self, texts):
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[hashlib.blake2b(word.encode()).digest()[0] % (self.dimensions - 1)] += 1.0
            row /= max(np.linalg.norm(row), 1e-6)
            row[-1] += 2.0  # as close together as the vectors of the real model
            row /= np.linalg.norm(row)
        return rows

    questions = passages

    def close(self):
        pass


def model(facts, outdates=False):
    """A model that writes down `facts` where their words were said; the newer one outdates the older or not."""

    def structured(messages, schema):
        asked = messages[-1].content
        if asked.startswith("Old note"):
            return {"relation": "old note is out of date" if outdates else "both are true"}
        found = [fact for key, fact in facts.items() if key in asked]
        return {"facts": [{"fact": f, "kind": "profile"} for f in found]}

    return FakeLlm(structured=structured)


def opened(key=MemoryKey("Anna", "guide"), **options):
    return participant.open_participant([key], WordEmbedder(), **options)


def talk(words, llm, memory):
    script = Script()
    script.user_says(0.5, words)
    capabilities = Capabilities([memory.provider], observers=[memory.keeper], background=memory.background)
    return script.play(llm, capabilities=capabilities)


def events_of(outcome, kind):
    return [event for event in outcome.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CVI_HOME", str(tmp_path))

    async def at_once(work, *arguments):
        return work(*arguments)

    # Virtual time does not wait for threads.
    monkeypatch.setattr(participant, "to_thread", at_once)


def test_what_was_said_is_known_the_next_time():
    llm = model({"peanuts": "The user is allergic to peanuts."})
    first = talk("i am allergic to peanuts you know", llm, opened())
    kept = events_of(first, MemoryKept)
    assert [event.turn for event in kept] == [1] and "allergic to peanuts" in kept[0].memory
    again = opened()
    assert "allergic to peanuts" in again.background
    second = talk("which dessert with peanuts may i have", model({}), again)
    assert "peanuts" in events_of(second, MemoriesRecalled)[0].memories[0]
    assert opened(MemoryKey("Ben", "guide")).background == ""
    assert opened(MemoryKey("Anna", "other")).background == ""


async def test_a_turn_is_told_what_it_is_about():
    key = MemoryKey("Anna", "guide")
    connection = open_memory()
    held = make_store(connection, key)
    store.add_memory(connection, held.id, "The user is allergic to peanuts.", said="i am allergic to peanuts")
    store.add_memory(connection, held.id, "The user lives in Porto.", said="my flat in porto is small")
    provider = opened(key).provider
    await provider.ready("is there any dish with peanuts")
    assert "allergic" in provider.note("is there any dish with peanuts")
    assert provider.used("is there any dish with peanuts")[0].startswith("[m1] The user is allergic")
    assert provider.note("mm") == ""
    provider.close()


def test_the_newer_one_wins_and_the_older_stays_history():
    talk("i live in porto near the river", model({"porto": "The user lives in Porto."}), opened())
    llm = model({"berlin": "The user lives in Berlin."}, outdates=True)
    talk("i live in berlin these days you know", llm, opened())
    connection = open_memory()
    held = find_stores(connection)[0].id
    assert [each.text for each in memories_of(connection, held)] == ["The user lives in Berlin."]
    old, new = memories_of(connection, held, history=True)
    assert old.superseded_by == new.id and new.said == "i live in berlin these days you know"
    assert new.turn == 1 and new.confidence == 1.0


def test_what_nobody_said_is_not_kept():
    llm = model({"porto": "The user is a famous pianist from Vienna with 3 cats."})
    outcome = talk("i live in porto near the river", llm, opened())
    assert not events_of(outcome, MemoryKept) and opened().background == ""
    turn = SaidTurn(1, "Yes.", "Do you eat meat?")
    assert grounded("The user eats meat.", turn) > 0.4
    assert grounded("The user has 2 dogs.", SaidTurn(1, "I have two dogs.")) == 0.0


def test_a_full_disk_is_told_once_and_the_conversation_goes_on(monkeypatch):
    from cvi.errors import CviError

    def full(*_, **__):
        raise CviError("Memories cannot be written: database or disk is full.", "Free some space.")

    memory = opened()
    monkeypatch.setattr(participant, "add_memory", full)
    outcome = talk("i am allergic to peanuts", model({"peanuts": "The user is allergic to peanuts."}), memory)
    assert [event.message for event in events_of(outcome, MemoryFailed)] == [
        "Memories cannot be written: database or disk is full. Free some space."
    ]
    assert outcome.events[-1].type == "conversation_ended"
    assert opened().background == ""


def test_retention_is_enforced_when_the_file_is_opened():
    connection = open_memory()
    kept = make_store(connection, MemoryKey("Anna", "guide"), 30)
    forever = make_store(connection, MemoryKey("Anna", "other"))
    for each in (kept, forever):
        store.add_memory(connection, each.id, "The user likes tea.")
    store.add_memory(connection, kept.id, "The user's name is Anna.", pinned=True)
    connection.close()
    later = open_memory(now=__import__("time").time() + 31 * store.DAY_S)
    assert [each.text for each in memories_of(later, kept.id)] == ["The user's name is Anna."]
    assert len(memories_of(later, forever.id)) == 1


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "a\x00"])
def test_impossible_names_are_refused(name):
    from cvi.errors import UsageError

    with pytest.raises(UsageError, match="participant's name"):
        make_store(open_memory(), MemoryKey(name))


@pytest.mark.parametrize("name", ["../../etc", "Ünal O'Brien", "日本", "a;DROP TABLE stores", "%s {x}"])
def test_odd_names_are_kept_as_they_are(name):
    assert make_store(open_memory(), MemoryKey(name)).participant == name


def test_what_a_crash_left_unread_is_read_the_next_time(folder, tmp_path):
    journal = tmp_path / "conversations" / "c00000000000a" / "journal.jsonl"
    journal.parent.mkdir(parents=True)
    said = {"seq": 1, "t": 1.0, "type": "turn_typed", "turn": 1, "reply": 1, "text": "I live in Porto."}
    started = {"seq": 0, "t": 0.0, "type": "conversation_started", "format": 2}
    journal.write_text(f"{json.dumps(started)}\n{json.dumps(said)}\n" + '{"seq": 2, "t": 3.0, "ty')
    connection = open_memory()
    held = make_store(connection, MemoryKey("Anna", "guide"))
    store.note_source(connection, held.id, "c00000000000a", str(journal), 0)
    talk("good morning to you there", model({"Porto": "The user lives in Porto."}), opened())
    (kept,) = memories_of(connection, held.id)
    assert (kept.text, kept.conversation, kept.turn) == ("The user lives in Porto.", "c00000000000a", 1)
    assert all(each.conversation != "c00000000000a" for each in store.unread_sources(connection, held.id))


@pytest.mark.parametrize(
    ("said", "turned"),
    [
        ("I work as a baker, mostly at night.", "You work as a baker, mostly at night."),
        ("Well, I'm ill and my sister helps me.", "Well, you're ill and your sister helps you."),
        ("I was in the US. We've moved.", "You were in the US. You've moved."),
    ],
)
def test_what_somebody_said_of_themselves_is_told_as_it_is_said_to_them(said, turned):
    assert to_second_person(said) == turned


def test_the_words_of_other_languages_are_quoted():
    connection = open_memory()
    made = make_store(connection, MemoryKey("Anna"))
    memory = store.add_memory(connection, made.id, "The user is a baker.", said="Ich bin Bäcker in Kiel.")
    (quoted,), (turned,) = (spoken_form([memory], english=english) for english in (False, True))
    assert 'Their words: "Ich bin Bäcker in Kiel."' in quoted and "to them" in turned
    connection.close()
