"""Sound: blocks, resampling, levels and files. Stands on the ground: imports nothing of the project."""
