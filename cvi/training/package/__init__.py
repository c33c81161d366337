"""What makes a finished replica: its files and card, the consent it was made with, the voices that suit it.

In: the results of the other stages. Out: a replica's folder (`cvi.face.replica` reads it). May import every
other stage. Start reading at `export`; `cloned_voice` is also used by conversations.
"""
