"""The tool of compliance_training.yaml: what the company's policy says about a topic.

A stand-in for a system of your own. It answers after a second and a half, as a slow one does, so that the
persona says that it is looking.
"""

from __future__ import annotations

import asyncio

LOOKUP_S = 1.5
RULES = {
    ("gift", "present", "ticket"): "Gifts above fifty dollars need written approval before you accept them.",
    ("travel", "trip", "hotel"): "Trips that a supplier pays for need the approval of your manager.",
    ("password", "login"): "Passwords and logins are never shared, with nobody.",
    ("data", "laptop", "mail"): "A lost device or a mail to the wrong person is reported on the same day.",
}


async def look_up_rule(topic: str) -> dict[str, str]:
    """The rule about a topic, such as "gifts"; says so where there is none."""
    await asyncio.sleep(LOOKUP_S)
    for words, rule in RULES.items():
        if any(word in topic.lower() for word in words):
            return {"rule": rule}
    return {"rule": f"There is no rule about {topic}; the compliance team knows what to do."}
