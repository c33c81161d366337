"""Text to speech. In: a clause or sentence. Out: `Speech`, sound with the times of its phones and words.

`base` has the Protocol, each of `espeak`, `flite`, `piper`, `pocket` and `openai` is an engine, found by its
entry point `tts.NAME`. They share `normalization` (numbers and abbreviations in words), `local_voice` (a
thread), `ipa` (one set of phones) and `speech_timeline` (times). `cloning` is the Protocol of voice cloning.
Imports `audio`, `endpoints` and the ground. Start reading at `base.TtsEngine`; a new engine passes
`cvi.testing.contracts.tts`.
"""
