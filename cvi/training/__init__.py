"""Training replicas of real people: footage is graded, prepared, learned from, evaluated and packaged.

In: a film (or one photo) of a person, and their consent. Out: a replica's folder, which `cvi.face` plays. May
import `cvi.face`, `cvi.media`, `cvi.tts`; knows no conversation, server or command line. Start reading at
`pipeline`, which runs the stages in order: `footage`, `grading`, `model`, `audio`, `clips`, `package`,
`evaluation`. Beside them: `recording` films a person who reads a script, `photo` makes a replica of one
photo.
"""
