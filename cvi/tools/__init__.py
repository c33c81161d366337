"""Tools: what a persona can do beside talking. In: declared functions and a turn's words. Out: calls,
answers.

`base` has the data and the Protocol of a delivery, which the conversation knows (`conversation/tool_turn`
makes a reply of a call, `tool_runs` carries calls out, once). `decision` decides whether a turn needs a
call, from `likeness` and the model's odds. Deliveries: `client` (app message), `http`, `mcp_server`,
`python_function`, `builtin`. `declared` makes them from a persona. Imports the ground, `llm.base`,
`embeddings` and `persona`; never an engine, the conversation or the server. Start reading at `base`.
"""
