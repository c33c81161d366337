"""What holds a persona within its bounds: guardrails, objectives, disclosure.

In: the persona's `guardrails`, `objectives` and disclosure fields, the clauses of a reply, the participant's
words, notes for the model. Out: clauses that may be spoken, notes without instructions in them, events.
May import the ground, embeddings, the model's Protocol, the conversation's Protocols and events; no engine.
Start at `guard` (what happens to a reply), then `checks` (how one sentence is judged) and `objectives`.
"""
