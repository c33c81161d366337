"""Language models. In: messages. Out: the reply's text in pieces, and whether a turn is complete.

`base` has the Protocol; `llama_cpp` (with `gguf` and `chat_template`) and `openai` are the engines, found by
their entry points `llm.NAME`. Plain logic for the conversation, without an engine: `clauses` cuts a reply for
speech, `markup_filter` removes what is not spoken, `text_completeness` judges a turn's words. Imports only
the ground and `endpoints`. Start reading at `base.LlmEngine`; a new engine passes
`cvi.testing.contracts.llm`.
"""
