"""Media in and out: sound and picture files read, conversations recorded.

In: any audio or video file (`decode` as a stream, `readers` on a thread that decodes ahead). Out:
`encode` writes MP4, `recorder` a whole conversation. `frames` holds the two plain types: an I420 `Frame`,
and `AVUnit`, a frame with the sound heard while it is shown. Imports the ground and `audio` only. Start
with `decode`.
"""
