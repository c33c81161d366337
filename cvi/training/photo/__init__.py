"""A replica of one photo: the photo is read and checked, and stored with consent.

In: a photo and a consent. Out: a replica's folder, which `cvi.face.photo` plays. May import the face tracker
and the packaging of the other stages. Start reading at `photo_replica`.
"""
