"""A participant behind a browser: sound, picture and events over one WebRTC connection (aiortc).

`transport` is the Transport; `presence` holds whose connection it is, `peer` one connection;
`incoming_audio` and `incoming_video` are what comes, `outgoing_audio`, `outgoing_video` and
`video_encoder` what goes; `rate_control` and `rtcp` fit it to the network; `sdp` and `ice_path`
set it up. Start with `transport`.
"""
