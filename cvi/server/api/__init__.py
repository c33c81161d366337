"""The routes, a resource a file.

Comes in: validated bodies and the `Services`. Goes out: answers in the shapes of `cvi.server.contract`. To
add a resource that is only stored, add a row to `resource_table.py`; one that acts gets a file of its own and
a line in `app.py`.
"""
