"""What the server stores: one SQLite database, and the functions that read and write its tables.

In: a connection inside a transaction, and plain values. Out: frozen dataclasses. Imports only the ground.
Start at `database`; then one file a table: `conversations` (with their events), `jobs`, `keys`, `resources`.
Changes of the tables are numbered SQL files in `migrations`, run once each when the database is opened.
"""
