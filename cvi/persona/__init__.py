"""Personas: the schema, loading and checking of persona files, and the system message made from one.

In: a YAML or JSON file, or a request with the field names of the wire contract. Out: a validated `Persona`,
or findings with line, column and remedy; `prompt.system_message`. Imports only the ground. Start reading at
`schema.Persona`, then `loading.load_persona`.
"""
