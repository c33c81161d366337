"""Offers and answers (SDP, RFC 8866): what is checked and changed in their text."""

from __future__ import annotations

from collections.abc import Sequence

from cvi.errors import UsageError

MOST_BYTES = 64 * 1024
# What the participant may send us, kbit/s: the camera is looked at small, a screen must be legible.
CAMERA_KBPS, SCREEN_KBPS = 400, 1000


def check_offer(sdp: str) -> None:
    """Raises UsageError for what cannot be an offer of a participant."""
    if len(sdp) > MOST_BYTES:
        raise UsageError(f"The offer is longer than {MOST_BYTES} bytes.")
    if not sdp.startswith("v=0") or "\nm=" not in sdp:
        raise UsageError("The offer is no session description.", "Send the `sdp` of createOffer().")
    if "\nm=audio" not in sdp:
        raise UsageError("The offer has no audio.", "Offer an audio transceiver, sendrecv or recvonly.")


def prefer_codecs(sdp: str, order: Sequence[str]) -> str:
    """Put the video codecs in `order` (names) first; the rest keeps its order behind them."""
    return "".join(
        _preferring(section, order) if section.startswith("m=video") else section
        for section in _sections(sdp)
    )


def limit_incoming(sdp: str) -> str:
    """Ask the sender of each video to stay within its bandwidth: the first is the camera."""
    limits = iter((CAMERA_KBPS, SCREEN_KBPS, *[SCREEN_KBPS] * 8))
    return "".join(
        _limited(section, next(limits)) if section.startswith("m=video") else section
        for section in _sections(sdp)
    )


def _sections(sdp: str) -> list[str]:
    """The session's part, then one part a medium; joined again they are the whole."""
    head, *media = sdp.split("\nm=")
    ends = [head + "\n"] + [f"m={part}\n" for part in media] if media else [head]
    ends[-1] = ends[-1][:-1] if media else ends[-1]
    return ends


def _preferring(section: str, order: Sequence[str]) -> str:
    lines = section.split("\n")
    codec: dict[str, str] = {}
    repairs: dict[str, str] = {}
    for line in (line.strip() for line in lines):
        if line.startswith("a=rtpmap:"):
            number, _, name = line[9:].partition(" ")
            codec[number] = name.split("/")[0].upper()
        elif line.startswith("a=fmtp:") and "apt=" in line:
            number, _, options = line[7:].partition(" ")
            repairs[number] = options.partition("apt=")[2].split(";")[0].strip()

    def rank(number: str) -> int:
        name = codec.get(repairs.get(number, number), "")
        return order.index(name) if name in order else len(order)

    first = lines[0].rstrip("\r")
    fields, numbers = first.split(" ")[:3], first.split(" ")[3:]
    end = "\r" if lines[0].endswith("\r") else ""
    ordered = sorted(numbers, key=rank)
    # aiortc goes by the order in which codecs are described, browsers by that of the numbers.
    about = [line for line in lines[1:] if _number(line) in numbers]
    at = lines.index(about[0]) if about else len(lines)
    about.sort(key=lambda line: ordered.index(_number(line)))
    rest = [line for line in lines[at:] if _number(line) not in numbers]
    return "\n".join([" ".join([*fields, *ordered]) + end, *lines[1:at], *about, *rest])


def _number(line: str) -> str:
    """The payload type an attribute describes, "" for other lines."""
    name, _, value = line.partition(":")
    return value.split(" ")[0] if name in ("a=rtpmap", "a=fmtp", "a=rtcp-fb") else ""


def _limited(section: str, kbps: int) -> str:
    lines = section.split("\n")
    at = next((index for index, line in enumerate(lines) if line.startswith("c=")), 0) + 1
    end = "\r" if lines[0].endswith("\r") else ""
    added = [f"b=AS:{kbps}{end}", f"b=TIAS:{kbps * 1000}{end}"]
    return "\n".join([*lines[:at], *added, *lines[at:]])


def video_codec(sdp: str) -> str | None:
    """The codec that will be sent in the first video of an answer: its first one. None without a video."""
    for section in _sections(sdp):
        if section.startswith("m=video"):
            lines = [line.strip() for line in section.split("\n")]
            wanted = f"a=rtpmap:{lines[0].split(' ')[3]} "
            names = [line[len(wanted) :] for line in lines if line.startswith(wanted)]
            return names[0].split("/")[0].upper() if names else None
    return None


def fingerprint(sdp: str) -> str:
    """The fingerprint of the first certificate that is named: it stays the same as long as a connection."""
    for line in sdp.splitlines():
        if line.startswith("a=fingerprint:"):
            return line[14:].strip().upper()
    return ""


def exchange_ice(sdp: str, username: str, password: str, candidates: Sequence[str]) -> str:
    """A description with other ICE credentials and candidates; all else stays, but for its version.

    Candidates are given as in SDP, without `a=candidate:`.
    """
    ends = "\r\n" if "\r\n" in sdp else "\n"
    out: list[str] = []
    for line in sdp.splitlines():
        if line.startswith("o="):
            who, session, version, *rest = line.split(" ")
            line = " ".join([who, session, str(int(version) + 1), *rest])
        elif line.startswith("a=ice-ufrag:"):
            line = f"a=ice-ufrag:{username}"
        elif line.startswith("a=ice-pwd:"):
            line = f"a=ice-pwd:{password}"
        elif line.startswith("a=candidate:"):
            continue
        elif line.startswith("a=end-of-candidates"):
            out.extend(f"a=candidate:{candidate}" for candidate in candidates)
        out.append(line)
    return ends.join(out) + ends
