"""The live renderer of a trained replica."""

from __future__ import annotations

import cv2

from cvi.errors import EngineError, UsageError
from cvi.face.base import Controls, FaceSettings, Frame
from cvi.face.neural.base_loop import BaseLoop
from cvi.face.neural.compose import lay
from cvi.face.neural.decoder import Decoder
from cvi.face.neural.framing import Framing
from cvi.face.neural.hidden import TOP, region_of
from cvi.face.neural.rig import BASE, DECODER, FEATURES, RIG, load_rig


class NeuralFace:
    """Draws frames from footage: the base loop at the performance's moment, the lower face by the network.

    Gaze, brows and head are the footage's own; of the controls the mouth, the smile and the lids as far as
    the footage showed them, and the moment count. One thread at a time. `render` depends on its controls
    alone.
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
        self._decoder = Decoder(folder / DECODER, folder / FEATURES)
        self._base = BaseLoop(folder / BASE, len(self._rig))
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """One frame: uint8 I420, (height * 3 // 2, width), BT.709 limited range."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        rig = self._rig
        index = round(max(controls.moment_s, 0.0) * rig.fps) % len(rig)
        frame = self._base.frame(index)
        drawn = self._decoder.draw(int(rig.features[index]), rig.mouth(controls))
        rig.lids.draw(frame, controls, rig.matrices[index])
        region = region_of(rig.reach[index], rig.side)
        lay(frame, drawn, rig.matrices[index], region.mask, region.ring)
        return self._framing.fit(frame)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._base.close()
