"""From the film's sound to the mouth: what it asks of the face in each frame, and what that means for this
person.

In: sound, optionally its script, and the mouths seen in `PreparedFootage`. Out: `FittedAudio`: control
vectors for every frame, the person's audio-to-mouth models and their `MouthMap`. May import
`cvi.training.footage` and the mouth's driver in `cvi.face`. Start reading at `speech.fit_audio`.
"""
