"""The tools that come with the program: end the call, hand over to a human."""

from __future__ import annotations

from cvi.llm.base import ToolSpec
from cvi.tools.base import ToolAnswer, ToolCall, ToolDefinition

END_CALL = "end_call"
HAND_OVER = "hand_over_to_human"
GOODBYE = "Goodbye, and thank you for the conversation."
HANDING_OVER = "Of course. I am calling somebody for you; please stay on the line."


class BuiltinDelivery:
    """Nothing to carry out outside: the conversation acts on the call itself; the answer is a sentence."""

    name = "builtin"

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    async def call(self, call: ToolCall) -> ToolAnswer:
        """The sentence that the persona says."""
        return ToolAnswer({"response": self._sentence})

    async def close(self) -> None:
        """Nothing: it holds no resource."""


def end_call(sentence: str = GOODBYE) -> ToolDefinition:
    """Says goodbye, and ends the conversation once that was heard."""
    return ToolDefinition(
        spec=ToolSpec(
            END_CALL,
            "End this call. Only when the person says goodbye to you or asks you to hang up.",
            {"type": "object", "properties": {}},
        ),
        delivery=BuiltinDelivery(sentence),
        examples=(
            "Goodbye!",
            "You can hang up now.",
            "That was all, thank you, bye.",
            "I have to go, see you.",
        ),
        on_resolve="response_in_result",
        on_interrupt="cancel",
        careful=True,
        ends_conversation=True,
    )


def hand_over(sentence: str = HANDING_OVER) -> ToolDefinition:
    """Asks for a human by an event and a webhook, and says so."""
    return ToolDefinition(
        spec=ToolSpec(
            HAND_OVER,
            "Hand this call over to a human colleague. Only when the person asks to speak with a human.",
            {"type": "object", "properties": {}},
        ),
        delivery=BuiltinDelivery(sentence),
        examples=(
            "Can I speak to a human?",
            "Connect me with somebody who works there.",
            "I want to talk to your manager.",
            "Is there a real person I can talk to?",
        ),
        on_resolve="response_in_result",
        careful=True,
    )
