"""An MCP server for tests: tools that answer, fail, end the program. `python mcp_server.py [http PORT]`."""

import os
import sys

from mcp.server.fastmcp import FastMCP
from mcp.types import ImageContent

server = FastMCP("weather", port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000)


@server.tool()
def weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


@server.tool()
def broken() -> str:
    """Always fails."""
    raise ValueError("no data today")


@server.tool()
def picture() -> list[ImageContent]:
    """Answers with a picture."""
    return [ImageContent(type="image", data="aGk=", mimeType="image/png")]


@server.tool()
def dies() -> str:
    """Ends the program in the middle of the call."""
    os._exit(3)


if __name__ == "__main__":
    server.run("streamable-http" if len(sys.argv) > 1 else "stdio")
