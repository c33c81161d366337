"""The network that draws one person's lower face, and how it is trained.

In: `PreparedFootage` (`cvi.training.footage`). Out: an `InpaintingNetwork`, and its two halves as ONNX.
May import `cvi.training.footage` and the parts of `cvi.face.neural` that mask and blend. Start reading at
`network`, then `loop`. `config` and `checkpoint` import no torch before they are asked to.
"""
