"""Files into blocks of text, in a child process with limits: a hostile file harms its own reading alone.

In: a file. Out: `Block`s with page and heading level, in reading order. One module a family of formats; heavy
packages are imported in the child alone.

Start at `reader` (the parent's side); `process` is the child, `formats` tells what a file is from its bytes.
"""
