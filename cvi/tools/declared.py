"""From a persona to its tools: what is declared, what an MCP server offers, what comes with the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cvi.endpoints.outbound import OutboundClient, OutboundPolicy
from cvi.errors import UsageError
from cvi.llm.base import ToolSpec
from cvi.persona.policy import McpServer, Tool
from cvi.persona.schema import Persona
from cvi.tools.base import Delivery, Toolbox, ToolDefinition
from cvi.tools.builtin import END_CALL, HAND_OVER, end_call, hand_over
from cvi.tools.client import ClientDelivery
from cvi.tools.decision import LikenessAndOdds
from cvi.tools.http import HttpDelivery
from cvi.tools.mcp_server import McpDelivery
from cvi.tools.python_function import PythonDelivery

MOST_TOOLS = 50
_BUILTIN = {END_CALL: end_call, HAND_OVER: hand_over}


@dataclass(frozen=True, slots=True)
class ToolPermissions:
    """What the operator allows a persona's tools.

    `urls_to` are the hosts and networks that may be called although they are private ("*": all); `modules`
    the Python modules whose functions may run; `mcp_commands` whether MCP servers may be started as
    programs; `client` whether there is a client that answers app messages.
    """

    urls_to: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    mcp_commands: bool = False
    client: bool = False


async def declared_tools(persona: Persona, permissions: ToolPermissions, language: str) -> Toolbox | None:
    """The persona's tools, MCP servers connected; None for a persona without any.

    Raises UsageError for what the operator has not allowed, for schemas that are not well formed and for
    names used twice; MissingError for absent packages and functions; ToolError for an MCP server that is
    not there.
    """
    own = [tool for tool in persona.tools if tool.origin in (None, "llm")]
    declared = [tool for tool in own if tool.trigger_type == "in_call"]
    if not (declared or persona.builtin_tools or persona.mcp_servers):
        return None
    policy = OutboundPolicy(permissions.urls_to)
    client = ClientDelivery(permissions.client)
    outbound = OutboundClient(policy)
    tools: list[ToolDefinition] = []
    opened: list[Delivery] = [client]
    try:
        tools += [_declared(tool, _delivery(tool, client, outbound, permissions)) for tool in declared]
        for server in persona.mcp_servers:
            delivery = McpDelivery(_allowed(server, permissions), policy)
            opened.append(delivery)
            tools += [
                ToolDefinition(spec, delivery, read_only=server.read_only) for spec in await delivery.specs()
            ]
        tools += [_BUILTIN[name]() for name in persona.builtin_tools]
        check_specs([tool.spec for tool in tools])
    except BaseException:
        for each in opened:
            await each.close()
        raise
    return Toolbox(tuple(tools), LikenessAndOdds(tools, language), client)


def check_specs(specs: Sequence[ToolSpec]) -> None:
    """Raises UsageError for too many tools, a name used twice, and a schema that is not one of an object."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    if len(specs) > MOST_TOOLS:
        raise UsageError(f"A persona has at most {MOST_TOOLS} tools; these are {len(specs)}.", "Name fewer.")
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise UsageError(f"Two tools are called '{spec.name}'.", "Rename one of the two.")
        seen.add(spec.name)
        try:
            validator_for(spec.parameters).check_schema(spec.parameters)
        except SchemaError as error:
            raise UsageError(
                f"The parameters of the tool '{spec.name}' are no JSON Schema: {error.message[:160]}.",
                "See https://json-schema.org.",
            ) from error
        if spec.parameters.get("type", "object") != "object":
            raise UsageError(
                f"The parameters of the tool '{spec.name}' are no object.",
                "Write 'type: object' with 'properties'.",
            )


def _delivery(
    tool: Tool, client: ClientDelivery, outbound: OutboundClient, permissions: ToolPermissions
) -> Delivery:
    delivery = tool.delivery
    if delivery.api is not None:
        return HttpDelivery(delivery.api, outbound)
    if delivery.python is not None:
        module = delivery.python.partition(":")[0]
        if module not in permissions.modules:
            raise UsageError(
                f"The tool '{tool.name}' is a function of the module '{module}', which may not run here.",
                f"If you trust the persona, allow it with: --allow-tool-module {module}",
            )
        return PythonDelivery(delivery.python)
    return client


def _allowed(server: McpServer, permissions: ToolPermissions) -> McpServer:
    if server.command and not permissions.mcp_commands:
        raise UsageError(
            f"The MCP server '{server.name}' is a program ({server.command[0]}), which may not run here.",
            "If you trust the persona, allow it with: --allow-mcp-commands",
        )
    return server


def _declared(tool: Tool, delivery: Delivery) -> ToolDefinition:
    return ToolDefinition(
        spec=ToolSpec(tool.name, tool.description.strip(), tool.parameters),
        delivery=delivery,
        examples=tuple(tool.examples),
        on_call=tool.on_call,
        static_filler=(tool.static_filler or "").strip(),
        on_resolve=tool.on_resolve,
        on_interrupt=tool.on_interrupt,
        read_only=tool.read_only,
        careful=tool.careful,
    )
