"""The conversation: joins one persona and one participant for one session, spoken or typed.

In: engines behind their layers' Protocols, a transport, settings. Out: sound and frames on the transport,
and a journal (`events`, `journal`), from which `transcript` and `latency` are read. Start reading in
`conversation`; sound then goes through `audio_input`, `turn_taking`, `replies`, `reply` and `playout`. May
import the layers' Protocols and plain logic; never an engine, a transport's internals, the persona, the
server, the bench or the command line.
"""
