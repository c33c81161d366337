"""Text embeddings: texts that mean the same lie close together.

In: short texts. Out: unit vectors (float32) whose dot product is their cosine similarity. Used by knowledge,
memory and policy. Imports the ground only; engines are found as `embeddings.NAME`.

Start at `base` (the Protocol); `e5` knows a hundred languages, `minilm` English in half the time;
`shared` gives the process's one instance of each.
"""
