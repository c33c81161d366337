"""What the near end of a measured call and the far end's process say to each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from cvi.bench.probe.tap import MouthBox
from cvi.transport.scenario import Segment


class RemotePeerSpec(BaseModel):
    """One call, the first message to the far end. `size` (width, height) is the face's, which `mouth` is
    about; without a mouth no picture is recorded. `noise` is the room's, `echo_db` and `echo_delay_ms` as in
    `RoomSound`. What was recorded is written to `evidence`."""

    model_config = ConfigDict(frozen=True)

    type: Literal["spec"] = "spec"
    session: str
    fps: int
    size: tuple[int, int]
    audio: Path
    segments: tuple[Segment, ...]
    evidence: Path
    mouth: MouthBox | None = None
    noise: Path | None = None
    echo_db: float | None = None
    echo_delay_ms: float = 0.0


class SdpAnswer(BaseModel):
    """To the far end: the answer to its offer."""

    type: Literal["answer"] = "answer"
    sdp: str


class ReplyEnded(BaseModel):
    """To the far end: its caller may go on."""

    type: Literal["reply_ended"] = "reply_ended"


class EndCall(BaseModel):
    """To the far end: hang up. `zero_s` is when the conversation began, on `time.monotonic`."""

    type: Literal["end"] = "end"
    zero_s: float


class SdpOffer(BaseModel):
    """From the far end: the description of its connection."""

    type: Literal["offer"] = "offer"
    sdp: str


class CallerOver(BaseModel):
    """From the far end: its caller has said everything."""

    type: Literal["caller_over"] = "caller_over"


class RemotePeerCost(BaseModel):
    """From the far end, the last message: what it took in the call, s of processor and of time, and what
    reached it. Packets of sound that were lost or came too late, periods without sound, pictures lost or of
    no use without those, how long sound was held back, and the widths pictures had."""

    type: Literal["cost"] = "cost"
    cpu_s: float
    wall_s: float
    lost: int
    late: int
    dry: int
    pictures_lost: int
    held_ms: float
    widths: tuple[int, ...]


ToFarEnd = RemotePeerSpec | SdpAnswer | ReplyEnded | EndCall
FromFarEnd = SdpOffer | CallerOver | RemotePeerCost
TO_FAR_END: TypeAdapter[ToFarEnd] = TypeAdapter(Annotated[ToFarEnd, Field(discriminator="type")])
FROM_FAR_END: TypeAdapter[FromFarEnd] = TypeAdapter(Annotated[FromFarEnd, Field(discriminator="type")])
