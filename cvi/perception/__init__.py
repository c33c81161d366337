"""What the participant looks and sounds like, in numbers and in words.

In: pictures of camera and shared screen, sound, the journal's turns. Out: an `Impression` a moment, notes for
the language model, cues for the face, events. Never an identity, an age, a sex or an origin.
May import the ground, `audio`, `media`, `endpoints` and the conversation's events; engines by path only.
Start at `participant` (all of it in a conversation), `seeing` (picture) and `hearing` (sound).
"""
