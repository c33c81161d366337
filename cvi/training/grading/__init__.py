"""Grading footage before any training: what is wrong with it, where, what it does to a replica, what to do.

In: `Footage` and a `FaceTracker`. Out: a `FootageGrade`, as data or as an HTML page. May import
`cvi.training.footage` and the voice activity engine. Start reading at `grader`; the kinds of faults and the
limits are in `faults`.

    grade = grade_footage(open_footage(Path("me.mp4")), build_tracker())
    grade.verdict, [fault.kind for fault in grade.faults]
"""
