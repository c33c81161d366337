"""The engine `neural`: draws a trained replica."""

from __future__ import annotations

import cv2

from cvi.errors import EngineError, UsageError
from cvi.face.base import Controls, FaceSettings
from cvi.face.neural.base_footage import BaseFilm, Framing
from cvi.face.neural.clip_graph import ClipPlayer
from cvi.face.neural.compose import TOP, drawn_region, paste
from cvi.face.neural.decoder import FeatureRows, LowerFaceDecoder
from cvi.face.neural.rig import BASE, DECODER, FEATURES, RIG, load_rig
from cvi.media.frames import Frame


class NeuralEngine:
    """A `FaceEngine` that plays footage and lets the network draw the lower face.

    Head and brows are the footage's own, from a clip that shows the activity and mood of the controls where
    there is one; mouth, smile, lids and gaze follow the controls, as far as the footage showed them.

    Playback follows `Controls.moment_s`: the same sequence of controls gives the same frames, the same moment
    again the same frame with the mouth as asked. A moment more than a second before the last one restarts
    playback. One thread at a time.
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
        # The middle of the face lies at the upper edge of the drawn region.
        spot = self._rig.side / 2, TOP * self._rig.side, 1.0
        middle = cv2.invertAffineTransform(self._rig.matrices[0]) @ spot
        self._framing = Framing(native, self.width, self.height, (float(middle[0]), float(middle[1])))
        self._decoder = LowerFaceDecoder(folder / DECODER)
        self._features = FeatureRows(folder / FEATURES, self._rig.scales, self._decoder.total)
        self._base = BaseFilm(folder / BASE)
        self._player = ClipPlayer(self._rig.clips, len(self._rig), self._rig.fps)
        self._closed = False

    def render(self, controls: Controls) -> Frame:
        """As `FaceEngine.render`."""
        if self._closed:
            raise EngineError("The face was closed and cannot draw.", "Build a new one.")
        rig = self._rig
        index = self._player.at(controls)
        frame = self._base.frame(index)
        row, other = rig.features[index].tolist()
        features = self._features.at(row, other, float(rig.shares[index]))
        drawn = self._decoder.draw(features, rig.mouth(controls))
        rig.eyes.turn(frame, controls, index)
        # The blink covers the turned eyes.
        rig.blink.draw(frame, controls, rig.matrices[index])
        region = drawn_region(rig.reach[index], rig.side)
        paste(frame, drawn, rig.matrices[index], region.mask, region.ring)
        return self._framing.fit(frame)

    def close(self) -> None:
        """As `FaceEngine.close`."""
        if not self._closed:
            self._closed = True
            self._base.close()
