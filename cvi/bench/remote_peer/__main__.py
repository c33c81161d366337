"""The far end's process: lines of JSON on standard input and output, evidence in a file.

in:   the spec; {"answer": sdp}; {"reply_ended": true}; {"end": when the conversation began, s}
out:  {"offer": sdp}; {"over": true}; {"done": {"cpu_s": ..., "wall_s": ..., ...}}
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

from cvi.bench.probe.evidence import save_evidence
from cvi.bench.remote_peer.spec import LONGEST_LINE, RemotePeerSpec
from cvi.errors import CviError


async def attend(reader: asyncio.StreamReader) -> None:
    """One call, from the spec to the evidence. Raises CviError."""
    from cvi.bench.remote_peer.endpoint import RemotePeer

    spec = RemotePeerSpec.of_line((await reader.readline()).decode())
    far = RemotePeer(spec, lambda: _tell({"over": True}))

    async def signal(offer: str) -> str:
        _tell({"offer": offer})
        return str((await _next(reader))["answer"])

    cpu_s, began_s = time.process_time(), time.monotonic()
    zero_s: float | None = None
    try:
        await far.join(signal)
        while zero_s is None:
            message = await far.while_playing(_next(reader))
            if "end" in message:
                zero_s = float(message["end"])
            elif "reply_ended" in message:
                far.reply_ended()
        cost = {"cpu_s": time.process_time() - cpu_s, "wall_s": time.monotonic() - began_s}
    finally:
        await far.leave()
    await asyncio.to_thread(save_evidence, far.evidence(zero_s), spec.evidence)
    facts: dict[str, float] = {"lost": far.ear.lost, "late": far.ear.late, "dry": far.ear.dry}
    pictures_lost = far.pictures.lost + far.eye.skipped + far.eye.broken
    facts |= {"pictures_lost": pictures_lost, "held_ms": far.held_ms}
    _tell({"done": {**cost, **facts, "widths": sorted(far.eye.widths)}})


async def _next(reader: asyncio.StreamReader) -> dict[str, Any]:
    line = await reader.readline()
    if not line:
        raise CviError("The near end has gone.")
    message: dict[str, Any] = json.loads(line)
    return message


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def _run() -> int:
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        await attend(reader)
    except CviError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main() -> None:
    # The sound card must not wait five milliseconds for the eye's thread.
    sys.setswitchinterval(0.001)
    status = asyncio.run(_run())
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
