"""What a persona can look up: documents, as passages with their place, found by words and by meaning.

In: files, folders, web pages. Out: for a question, the passages that answer it, each with document, page and
heading, and a probability that it does; for a conversation, a `ContextProvider`. Kept in one SQLite file,
`$CVI_HOME/knowledge.sqlite3`. Imports the ground and `cvi.embeddings`.

Start at `library` (add, list, remove) and `search`; `reading` turns files into blocks of text in a child
process, `passages` cuts them, `provider` is what a conversation asks.
"""
