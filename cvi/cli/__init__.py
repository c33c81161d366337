"""The command line: one file a command, which parses, calls and prints.

The work lies in the rooms; heavy ones are imported inside the commands, so that `cvi --help` answers at
once. Nothing imports this package. Start with `app`.
"""
