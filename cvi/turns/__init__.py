"""Turn-taking: voice activity, how likely a turn is over, and when a reply gives way.

In: 32 ms hops of 16 kHz int16 from the conversation, and the words recognized so far. Out: voice onsets
and pauses (`voice_state`), a probability that the turn is over (`completeness`, with the `smart_turn`
model where there is one), and what to do about a voice over a reply (`barge_in`). All the numbers are in
`thresholds`; start reading there. May import `cvi.audio` and the ground; knows no conversation.
"""
