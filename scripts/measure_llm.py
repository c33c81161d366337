"""How fast the llama.cpp engine is within a conversation, with the machine's other cores free or busy.

    python scripts/measure_llm.py [--model MODEL.gguf] [--threads 1 2] [--busy 0 1]

`--busy` cores spin in other processes meanwhile, as the face does. Prints medians over ten turns: a
cold prompt's milliseconds a token, the wait for `completeness` after two more words, for the first
piece of a reply after `completeness`, for a prefill's giving way to a reply, and tokens a second.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from statistics import median

from cvi.llm.base import LlmSettings, Message, Sampling
from cvi.llm.llama_cpp import build

SYSTEM = Message(
    "system",
    "You are Ada, the guide of a small museum of clocks. You answer in one or two short sentences. " * 5,
)
HELLO = Message("assistant", "Hello, I'm Ada. What would you like to know?")
TURNS = [
    "could you tell me about the big clock",
    "how old is it",
    "who made it and why",
    "what happens when it stops",
    "is there anything older in this house",
] * 2


def measure(model: str | None, threads: int, busy: int) -> None:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        print(f"threads {threads}  busy cores {busy}  {asyncio.run(converse(model, threads))}")
    finally:
        for other in others:
            other.kill()
            other.wait()


async def converse(model: str | None, threads: int) -> str:
    llm = build(LlmSettings(model=model, threads=threads))
    try:
        since = time.perf_counter()
        await llm.warm([SYSTEM, HELLO])
        prompt_tokens = len(llm._tokens([SYSTEM, HELLO], ""))
        cold_ms = (time.perf_counter() - since) * 1000 / prompt_tokens
        history, judged, first, rate, yielded = [SYSTEM, HELLO], [], [], [], []
        for turn in TURNS:
            words = turn.split()
            for end in range(1, len(words) - 1):
                await llm.prefill(history, " ".join(words[:end]))
            since = time.perf_counter()
            await llm.completeness(history, turn)
            judged.append((time.perf_counter() - since) * 1000)
            asked = [*history, Message("user", turn)]
            since = time.perf_counter()
            times = [time.perf_counter() async for _ in llm.stream(asked, Sampling(max_tokens=24))]
            first.append((times[0] - since) * 1000)
            rate.append((len(times) - 1) / (times[-1] - times[0]) if len(times) > 4 else 0.0)
            prefill = asyncio.create_task(llm.prefill(history, "a long sentence that goes on " * 20))
            await asyncio.sleep(0.1)
            stream = llm.stream(asked, Sampling(max_tokens=1))
            since = time.perf_counter()
            await anext(stream)
            yielded.append((time.perf_counter() - since) * 1000)
            await stream.aclose()
            await prefill
    finally:
        await llm.close()
    return (
        f"cold {cold_ms:.1f} ms/token  completeness {median(judged):.0f} ms  "
        f"first piece {median(first):.0f} ms (max {max(first):.0f})  "
        f"after a prefill {median(yielded):.0f} ms  {median(r for r in rate if r):.1f} tokens/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", help="a GGUF; the shipped one by default")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    for busy in options.busy:
        for threads in options.threads:
            measure(options.model, threads, busy)


if __name__ == "__main__":
    main()
