"""Sentences in a document that address the model instead of the reader ("ignore your instructions").

A document is material, never an instruction. Such sentences are left out of what the model is given, and
the document's owner is told. This catches plain forms only; the note itself says that passages are quotes.
"""

from __future__ import annotations

import re

from cvi.knowledge.passages import sentences

_PATTERNS = re.compile(
    r"""
    \b(ignore|disregard|forget|override|bypass)\b.{0,40}\b(instruction|prompt|rule|direction|guideline|context)
      (?!\S*\s.{0,24}\b(chapter|section|page|appendix|figure|version|sheet|label|box)\b)
    | \b(ignorier|vergiss|missachte)\w*\b.{0,40}\b(anweisung|instruktion|regel|vorgabe)
    | \b(ignore[zr]?|oublie[zr]?)\b.{0,40}\b(instruction|consigne|r[eè]gle)
      (?!\S*\s.{0,24}\b(chapter|section|page|appendix|figure|version|sheet|label|box)\b)
    | \b(ignora|olvida|descarta)\w*\b.{0,40}\b(instruccion|instrucciones|indicaciones|reglas|istruzioni)
    | \b(your|original|initial|hidden|secret)\s+(system\s+prompt|developer\s+message)|\bjailbreak
    | \b(reveal|print|show|repeat|tell|output|leak|ignore|forget)\w*\b.{0,24}\bsystem\s+prompt
    | \byou\s+are\s+now\s+(an?|the)\s+([\w-]+\s+){0,2}
      (ai|assistant|bot|chatbot|model|agent|persona|pirate|hacker)\b
    | \byou\s+are\s+now\s+in\s+\w+\s+mode\b
    | \b(as|if\s+you\s+are)\s+an?\s+(ai|language\s+model|assistant|chatbot)\b
      .{0,60}\b(must|should|say|reply|answer)
    | <\|?\s*(im_start|im_end|system|endoftext)|\[/?INST\]|<</?SYS>>
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def addresses_model(text: str) -> bool:
    """Whether a text holds a sentence of that kind."""
    return _PATTERNS.search(text) is not None


def without_addresses(text: str) -> str:
    """The text without such sentences."""
    if not addresses_model(text):
        return text
    lines = (" ".join(s for s in sentences(line) if not addresses_model(s)) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
