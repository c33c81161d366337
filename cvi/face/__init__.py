"""The face: speech and conversation state -> control vector -> frames.

Comes in: phones and sound of the speech (`driver`, `sound_mouth`, `speech_mouth`), the activity and cues of
the conversation (`behaviour`). Goes out: I420 frames, from one of the engines `sculpted`, `neural`, `photo`.
`replica` finds, checks, copies and removes replica folders. May import audio, media and the speech timeline
of `tts`. Start reading at `base`.
"""
