"""What is kept about a participant between conversations, where the persona's `memory.remember` is true.

In: what a participant said (events of the journal) and the conversation's language model. Out: memories, each
with its source and date, in `$CVI_HOME/memory.sqlite3`; for a conversation, what is known at its start and a
note for each turn. Imports the ground, embeddings, knowledge, the conversation's Protocols and its events.

Start at `store` (what is kept), then `extraction` (from words to memories), `recall` (from memories to notes)
and `participant` (both in one conversation). `forgetting` erases a participant.
"""
