"""The child process that reads one file: limits first, then the reader, then one message a block.

Run as `python -m cvi.knowledge.reading.process`; its order comes on standard input. See `reader`.
"""

from __future__ import annotations

import resource
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from cvi.child_process import claim_stdout, encode, read_messages
from cvi.errors import CviError
from cvi.knowledge.reading.blocks import DocumentError
from cvi.knowledge.reading.formats import read

MEMORY_BYTES = 3 << 30
"""Address space, not memory in use: text recognition alone reserves more than one GiB."""
MOST_CHARACTERS = 20_000_000
"""About 7,000 pages."""
BATCH = 50


class ReadOrder(BaseModel):
    """The file to read, and the seconds of processor time that may take."""

    path: Path
    cpu_s: int


class BlockMessage(BaseModel):
    """One block; see `Block`."""

    text: str
    page: int | None = None
    heading: int = 0
    keep: bool = False


class BlocksRead(BaseModel):
    """Some blocks, in order."""

    type: Literal["blocks"] = "blocks"
    blocks: list[BlockMessage]


class ReadingDone(BaseModel):
    """The file was read to its end."""

    type: Literal["done"] = "done"


class ReadingFailed(BaseModel):
    """The file cannot be read; `code` as `DocumentError`."""

    type: Literal["failed"] = "failed"
    code: str
    message: str
    remedy: str = ""


ReadingMessage = Annotated[BlocksRead | ReadingDone | ReadingFailed, Field(discriminator="type")]
MESSAGES: TypeAdapter[BlocksRead | ReadingDone | ReadingFailed] = TypeAdapter(ReadingMessage)


def main() -> None:
    """Read the order, then the file."""
    out = claim_stdout()
    order = next(read_messages(TypeAdapter(ReadOrder)), None)
    if order is None:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_s, order.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def send(message: BaseModel) -> None:
        out.write(encode(message))

    try:
        _read(order.path, send)
        send(ReadingDone())
    except DocumentError as error:
        send(ReadingFailed(code=error.code, message=error.message, remedy=error.remedy))
    except CviError as error:
        send(ReadingFailed(code="document_processing_failed", message=error.message, remedy=error.remedy))
    except MemoryError:
        send(ReadingFailed(code="file_size_too_large", message="Reading it takes too much memory."))
    except OSError as error:
        send(
            ReadingFailed(
                code="file_download_failed", message=f"It cannot be read: {error.strerror or error}."
            )
        )
    except Exception:  # a damaged file can make a reader fail in any way
        traceback.print_exc()
        send(
            ReadingFailed(
                code="document_processing_failed",
                message="It is damaged.",
                remedy="Save it again and add it.",
            )
        )


def _read(path: Path, tell: Callable[[BaseModel], None]) -> None:
    batch: list[BlockMessage] = []
    characters = 0
    for block in read(path):
        characters += len(block.text)
        if characters > MOST_CHARACTERS:
            raise DocumentError(
                "file_size_too_large", f"It has more than {MOST_CHARACTERS:,} characters.", "Split it."
            )
        batch.append(BlockMessage(text=block.text, page=block.page, heading=block.heading, keep=block.keep))
        if len(batch) >= BATCH:
            tell(BlocksRead(blocks=batch))
            batch = []
    if batch:
        tell(BlocksRead(blocks=batch))
    if not characters:
        raise DocumentError(
            "file_empty", "There is no text in it.", "Give a file with text; scans need text recognition."
        )


if __name__ == "__main__":
    main()
