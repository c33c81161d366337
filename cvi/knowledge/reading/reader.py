"""Reading a file from the outside: a child process does it, within limits of size, time and memory."""

from __future__ import annotations

import asyncio
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cvi.child_process import ChildProcess, module_command
from cvi.knowledge.reading.blocks import Block, DocumentError
from cvi.knowledge.reading.process import MESSAGES, BlocksRead, ReadingDone, ReadingFailed, ReadOrder

MOST_BYTES = 100 << 20
WITHIN_S = 900.0
CPU_S = 600
COMMAND = module_command("cvi.knowledge.reading.process")


async def read_file(
    path: Path,
    *,
    most_bytes: int = MOST_BYTES,
    within_s: float = WITHIN_S,
    cpu_s: int = CPU_S,
    command: Sequence[str] = COMMAND,
) -> list[Block]:
    """The blocks of a file, in reading order.

    Raises DocumentError for a file that cannot be read, is larger than `most_bytes`, or takes longer than
    `within_s` or `cpu_s` of processor time.
    """
    await asyncio.to_thread(check_file, path, most_bytes)
    blocks: list[Block] = []
    last: ReadingDone | ReadingFailed | None = None

    def heard(message: BlocksRead | ReadingDone | ReadingFailed) -> None:
        nonlocal last
        if isinstance(message, BlocksRead):
            blocks.extend(Block(each.text, each.page, each.heading, each.keep) for each in message.blocks)
        else:
            last = message

    with tempfile.TemporaryDirectory(prefix="cvi-read-") as folder:
        child = ChildProcess(command, Path(folder) / "reader.log", MESSAGES, heard)
        try:
            await child.start()
            child.send(ReadOrder(path=path, cpu_s=cpu_s))
            async with asyncio.timeout(within_s):
                await child.wait()
        except TimeoutError:
            raise DocumentError(
                "document_processing_failed", "Reading it takes too long.", "Split it into smaller files."
            ) from None
        except OSError as error:
            raise DocumentError(
                "document_processing_failed", f"No process can be started: {error}."
            ) from error
        finally:
            if child.running:
                child.kill()
                await child.wait()
    if isinstance(last, ReadingFailed):
        raise DocumentError(last.code, last.message, last.remedy)
    if last is None:
        raise DocumentError(
            "document_processing_failed",
            "Reading it takes too much time or memory.",
            "Split it into smaller files.",
        )
    return blocks


def check_file(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Raises DocumentError for what is no file, which may never end, and for one larger than `most_bytes`.
    Blocks."""
    try:
        status = path.stat()
    except OSError as error:
        raise DocumentError(
            "file_download_failed", f"It cannot be read: {error.strerror}.", "Check its path."
        ) from error
    if not stat.S_ISREG(status.st_mode):
        remedy = "Give a file, a folder or an address."
        raise DocumentError("file_format_unsupported", "It is no file.", remedy)
    size = status.st_size
    if size > most_bytes:
        raise DocumentError(
            "file_size_too_large",
            f"It has {size >> 20} MB; {most_bytes >> 20} MB are the most.",
            "Split it, or save it without pictures.",
        )
