"""The server's log on standard error: lines for a person at a terminal, JSON lines for a program.

It tells of requests and rooms, never of people.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_LOGGERS = ("cvi.server", "cvi.child_process", "cvi.endpoints", "uvicorn.error")

request_log = logging.getLogger("cvi.server.requests")


class JsonLines(logging.Formatter):
    """A record as a line of JSON: time, level, where, what, and its extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, a traceback in its field `trace`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "what": record.getMessage(),
        }
        line |= _extra(record)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TerminalLines(logging.Formatter):
    """A record as a person reads it: `14:05:09 INFO  POST /v2/conversations 200 (12.3 ms)`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback below it; the time is the local one."""
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        extra = _extra(record)
        if record.name == request_log.name and {"method", "route", "status", "ms"} <= extra.keys():
            what = f"{extra['method']} {extra['route']} {extra['status']} ({extra['ms']:.1f} ms)"
        else:
            fields = " ".join(f"{key}={value}" for key, value in extra.items())
            what = f"{record.getMessage()}  {fields}".rstrip()
        line = f"{time} {record.levelname:<7} {what}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send the server's log to `stream` (standard error). Called by `cvi serve`, never at import."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TerminalLines() if stream.isatty() else JsonLines())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    # Its lines hold addresses and query strings; those of `cvi.server.requests` take their place.
    logging.getLogger("uvicorn.access").disabled = True


def route_of(scope: Mapping[str, Any]) -> str:
    """A request's path with its parameters' names in place of their values; "other" of an unknown one."""
    if scope.get("route") is None:
        return "other"
    if scope["path"].startswith("/static/"):
        return "/static"
    names = {str(value): f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    return "/".join(names.get(part, part) for part in scope["path"].split("/"))


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}
