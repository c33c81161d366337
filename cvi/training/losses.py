"""What the drawing of a lower face is judged by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - its name everywhere


def loss(drawn: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean weighted difference of two batches (b, 3, h, w), at four scales and of their gradients.

    Pixels alone leave low frequencies to chance and edges soft: the coarser scales settle the one, the
    gradients the other. `weight` (b, 1, h, w) is normalised to a mean of one over the hidden region by
    `weights`.
    """
    error = (drawn - truth) * weight
    total = error.abs().mean()
    for scale in (2, 4, 8):
        total = total + F.avg_pool2d(error, scale).abs().mean()
    across = error[..., 1:] - error[..., :-1]
    down = error[..., 1:, :] - error[..., :-1, :]
    return total + across.abs().mean() + down.abs().mean()


def weights(hidden: Tensor, lips: Tensor) -> Tensor:
    """How much each pixel counts: lips and what is between them four times, what lies outside the hidden
    region a little, so that both agree where they meet. `hidden` (b, 1, h, w), `lips` (1, 1, h, w)."""
    raw = hidden * (1.0 + 3.0 * lips) + 0.1 * (1.0 - hidden)
    return raw / torch.clamp((raw * hidden).sum() / hidden.sum(), min=1e-6) * 4.0
