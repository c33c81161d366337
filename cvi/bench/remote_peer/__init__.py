"""A participant at the far end of a real WebRTC call, in a process of its own, for `--transport webrtc`.

In: a `RemotePeerSpec` (the caller's recording, the room, the picture's size). Out: `RemotePeerCall`, a
`Transport` for the conversation, and after it the `Evidence` of what was heard and seen at the far end.
Imports the probe, the file transport's caller and `cvi.transport.webrtc`. Start at `call.py`; the child
process is `endpoint.py`.
"""
