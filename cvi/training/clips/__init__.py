"""From footage to the clips a replica plays: which stretches, how one leads to another, and the film of them.

In: `PreparedFootage` and the landmarks. Out: a plan of the base film with its `ClipGraph`, the film itself,
and the eyes' blinks and positions. May import `cvi.training.footage` and the parts of `cvi.face.neural` that
play them. Start reading at `pose_features`, `selection`, `transitions`.
"""
