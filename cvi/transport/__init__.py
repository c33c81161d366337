"""How a conversation reaches its participant: one Protocol (`base.Transport`), three transports.

In: units of picture and sound (`media.frames.AVUnit`), shown and heard when due. Out: the participant's
sound, and how far the persona was heard. `file` plays a recorded caller into a recording, `local` uses
this machine's devices and a window, `webrtc` a browser. Imports the ground, `audio` and `media`,
never the conversation. Start with `base`, then `file`.
"""
