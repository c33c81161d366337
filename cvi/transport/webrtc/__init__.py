"""A participant behind a browser: sound, picture and events over one WebRTC connection (aiortc).

`transport` is the Transport; `presence` holds whose connection it is, `peer` one connection;
`audio_input` and `video_input` are what comes, `audio_output`, `video_output` and `video_encoder` what
goes; `rate_control`, `rtcp` and `pacing` fit it to the network; `sdp` and `ice_path` set it up. Start
with `transport`.
"""
