"""The live renderer of a trained replica."""

from __future__ import annotations

import cv2

from cvi.errors import EngineError, UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.neural.base_film import BaseFilm
from cvi.face.neural.compose import lay
from cvi.face.neural.decoder import Decoder
from cvi.face.neural.features import Features
from cvi.face.neural.framing import Framing
from cvi.face.neural.hidden import TOP, region_of
from cvi.face.neural.rig import BASE, DECODER, FEATURES, RIG, load_rig
from cvi.face.neural.walk import Walk
from cvi.media.frames import Frame


class NeuralFace:
    """Draws frames from footage: the clips of what the controls ask for, the lower face by the network.

    Head and brows are the footage's own, of a clip that shows what is done and felt where there is one; the
    mouth, the smile, the lids and the gaze are as the controls ask, as far as the footage showed them.

    The footage is played on as `Controls.moment_s` goes on: the same sequence of controls gives the same
    frames, and the same moment again the same frame with another mouth. A moment more than a second before
    the last one begins the performance anew. One thread at a time.
    """

    name = "neural"

    def __init__(self, settings: FaceSettings) -> None:
        cv2.setNumThreads(1)
        if settings.background != "room":
            raise UsageError(
                f"A trained replica stands before what its footage shows, not '{settings.background}'.",
                "Leave --background out.",
            )
        folder = settings.replica
        self._rig = load_rig(folder / RIG)
        self.width, self.height = settings.width, settings.height
        native = int(self._rig.size[0]), int(self._rig.size[1])
        # The middle of the face lies a little above what is drawn.
        spot = self._rig.side / 2, TOP * self._rig.side, 1.0
        middle = cv2.invertAffineTransform(self._rig.matrices[0]) @ spot
        self._framing = Framing(native, self.width, self.height, (float(middle[0]), float(middle[1])))
        self._decoder = Decoder(folder / DECODER)
        self._features = Features(folder / FEATURES, self._rig.scales, self._decoder.total)
        self._base = BaseFilm(folder / BASE)
        self._walk = Walk(self._rig.reel, len(self._rig), self._rig.fps)
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """One frame: uint8 I420, (height * 3 // 2, width), BT.709 limited range."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        rig = self._rig
        index = self._walk.at(controls)
        frame = self._base.frame(index)
        row, other = rig.features[index].tolist()
        features = self._features.at(row, other, float(rig.shares[index]))
        drawn = self._decoder.draw(features, rig.mouth(controls))
        rig.eyes.turn(frame, controls, index)
        # A blink lies over the eyes, wherever they look.
        rig.lids.draw(frame, controls, rig.matrices[index])
        region = region_of(rig.reach[index], rig.side)
        lay(frame, drawn, rig.matrices[index], region.mask, region.ring)
        return self._framing.fit(frame)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._base.close()
