"""Is this footage good enough, and if not: what is wrong, where, what will come of it, what to do.

grade = grade_footage(open_footage(Path("me.mp4")), build_tracker())
grade.verdict, [fault.kind for fault in grade.faults]
"""
