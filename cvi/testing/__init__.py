"""For tests of conversations and engines, yours too: virtual time, fake engines, scripts, contracts.

`script` holds whole conversations in virtual time with the engines of `fakes`; start reading there.
`contracts` has a check for each layer that every engine must pass. `participant` joins a server as a
browser would, `network_emulation` loses and delays its packets. `footage` makes films with known faults for
tests of training. May import everything but the command line, the server and the bench.
"""
