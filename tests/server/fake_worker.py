"""Stands in for `cvi.server.worker` where the process itself is not the point.

Speaks the worker's protocol, keeps a journal like a conversation does, and misbehaves on request: the
persona's system prompt may hold `crash-at-start`, `crash-when-joined`, `hang-at-end`, `never-ready`,
`noise` or `fail`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    spec = json.loads(sys.stdin.readline())
    mood = str(spec["persona"].get("system_prompt", ""))
    folder = Path(spec["journal_folder"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spec.json").write_text(json.dumps(spec))
    if "crash-at-start" in mood:
        os._exit(3)
    if "never-ready" in mood:
        time.sleep(60)
    if "fail" in mood:
        say(type="failed", message="The model is missing.")
        return
    if "noise" in mood:
        sys.stdout.write('this is no message\n[1, 2]\n{"type": "answer"}\n')
        sys.stdout.flush()
    journal = (folder / "journal.jsonl").open("a" if spec.get("resume") else "w")

    def note(seq: int, t: float, kind: str, **data: Any) -> None:
        journal.write(json.dumps({"seq": seq, "t": t, "type": kind, **data}) + "\n")
        journal.flush()

    if not spec.get("resume"):
        note(0, 0.0, "conversation_started", began="2026-01-02T03:04:05+00:00", persona="Ada")
        note(1, 1.0, "turn_typed", turn=0, reply=0, text="hello")
        note(2, 1.5, "reply_heard", reply=0, text="Hi there.")
    say(type="ready")
    reason = "end_conversation_endpoint_hit"
    for line in sys.stdin:
        message = json.loads(line)
        kind = message["type"]
        if kind == "offer":
            with (folder / "offers.jsonl").open("a") as offers:
                offers.write(json.dumps(message) + "\n")
            if message["sdp"] == "refuse me":
                say(type="refused", id=message["id"], status=422, message="This is no offer.")
                continue
            if message["sdp"] == "answer me never":
                continue
            say(type="answer", id=message["id"], sdp=f"answer to {message['sdp']}")
            say(type="joined", participant_id=message["participant_id"])
            say(type="begun")
            if "crash-when-joined" in mood:
                os._exit(3)
        elif kind == "leave":
            say(type="left", participant_id=message["participant_id"])
        elif kind == "interaction":
            text = message["event"].get("properties", {}).get("text", "")
            if text == "refuse me":
                say(type="refused", id=message["id"], message="That cannot be done.")
                continue
            if text != "ignore me" and message["id"]:
                say(type="accepted", id=message["id"])
            event = {"event_type": "application.perception_analysis", "properties": {"analysis": text}}
            common = {
                "message_type": "conversation",
                "conversation_id": spec["conversation_id"],
                "seq": 1,
                "timestamp": 1.0,
            }
            say(type="event", event={**common, **event})
        elif kind == "end":
            reason = message["reason"]
            break
    else:
        return
    if "hang-at-end" in mood:
        time.sleep(60)
    note(3, 2.0, "conversation_ended", reason=reason)
    if spec["recording"]:
        Path(spec["recording"]).write_bytes(b"film")
    say(type="stopped", reason=reason, transcript=[], recording=spec["recording"], facts={})


if __name__ == "__main__":
    main()
