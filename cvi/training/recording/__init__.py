"""`cvi replica record`: films a person who reads a script from the screen.

In: a camera, a microphone, a `ReadingScript`. Out: a film and the lines that were read. May import the
grading's face measures, `cvi.media` and the local devices of `cvi.transport`. Start reading at `recorder`.
"""
