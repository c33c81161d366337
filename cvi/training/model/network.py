"""The network that draws one person's lower face, and the loss it is trained with. `NetworkSize` says how
large.

The picture is folded into channels first (space to depth), so that all convolutions are small. An encoder
of inverted residuals (Sandler et al. 2018, "MobileNetV2") reads the face around the hidden region. It does
not see the mouth's coefficients, so its output is computed once for each frame of footage and stored. The
decoder is conditioned on the mouth by FiLM (Perez et al. 2018): each level's channels are scaled and shifted.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its name everywhere

from cvi.training.model.config import LEVELS, NetworkSize

FOLD = 4


class InvertedResidual(nn.Module):
    """1x1 up, 3x3 within each channel, 1x1 down; added to its input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, expansion: int = 2) -> None:
        super().__init__()
        inner = inputs * expansion
        self.adds = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(b, inputs, h, w) -> (b, outputs, h / stride, w / stride)."""
        y: Tensor = self.body(x)
        return x + y if self.adds else y


class FilmLayer(nn.Module):
    """Feature-wise linear modulation; the identity before training."""

    def __init__(self, channels: int, conditioning: int) -> None:
        super().__init__()
        self.linear = nn.Linear(conditioning, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """x (b, channels, h, w), conditioning (b, c) -> like x."""
        scale, shift = self.linear(conditioning)[:, :, None, None].chunk(2, 1)
        shifted: Tensor = x * (1 + scale) + shift
        return shifted


class ContextEncoder(nn.Module):
    """A masked picture (b, 4, side, side) -> features at 1/4, 1/8, 1/16, 1/32."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        c = size.channels
        self.stem = nn.Conv2d(4 * FOLD * FOLD, c[0], 3, 1, 1)
        self.down = nn.ModuleList(
            nn.Sequential(InvertedResidual(c[i], c[i + 1], 2), InvertedResidual(c[i + 1], c[i + 1]))
            for i in range(LEVELS - 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """x as `masked_input` makes it."""
        features = [F.relu(self.stem(F.pixel_unshuffle(x, FOLD)))]
        for step in self.down:
            features.append(step(features[-1]))
        return tuple(features)


class MouthDecoder(nn.Module):
    """Features and a mouth (b, mouth) -> RGB 0..1 (b, 3, side, side)."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        c, conditioning = size.channels, size.conditioning
        self.mouth = nn.Sequential(
            nn.Linear(size.mouth, conditioning), nn.ReLU(), nn.Linear(conditioning, conditioning), nn.ReLU()
        )
        self.first_film = FilmLayer(c[-1], conditioning)
        self.middle = nn.Sequential(InvertedResidual(c[-1], c[-1]), InvertedResidual(c[-1], c[-1]))
        levels = range(LEVELS - 2, -1, -1)
        self.merge = nn.ModuleList(InvertedResidual(c[i + 1] + c[i], c[i], 1, 1) for i in levels)
        self.film = nn.ModuleList(FilmLayer(c[i], conditioning) for i in levels)
        self.refine = nn.ModuleList(InvertedResidual(c[i], c[i]) for i in levels)
        self.enlarge = nn.Conv2d(c[0], 24 * 4, 3, 1, 1)
        self.fine = nn.Conv2d(24, 24, 3, 1, 1)
        self.out = nn.Conv2d(24, 3 * 4, 3, 1, 1)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The encoder's features, finest first, then the mouth."""
        *features, mouth = inputs
        conditioning = self.mouth(mouth)
        x = self.middle(self.first_film(features.pop(), conditioning))
        for merge, film, refine in zip(self.merge, self.film, self.refine, strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = refine(film(merge(torch.cat([x, features.pop()], 1)), conditioning))
        x = F.relu(F.pixel_shuffle(self.enlarge(x), 2))
        x = F.relu(self.fine(x))
        return torch.sigmoid(F.pixel_shuffle(self.out(x), 2))


class InpaintingNetwork(nn.Module):
    """Encoder and decoder, as they are trained."""

    def __init__(self, size: NetworkSize) -> None:
        super().__init__()
        self.size = size
        self.encoder, self.decoder = ContextEncoder(size), MouthDecoder(size)

    def forward(self, masked: Tensor, mouth: Tensor) -> Tensor:
        """`masked` (b, 4, side, side), `mouth` (b, k) -> RGB 0..1 (b, 3, side, side)."""
        drawn: Tensor = self.decoder(*self.encoder(masked), mouth)
        return drawn


def masked_input(pictures: Tensor, hidden: Tensor) -> Tensor:
    """What the encoder sees: pictures (b, 3, h, w) 0..1, black where `hidden` (b, 1, h, w) is 1, and that
    mask as a fourth channel."""
    return torch.cat([pictures * (1 - hidden), hidden], 1)


def reconstruction_loss(drawn: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Mean weighted difference of two batches (b, 3, h, w), at four scales and of their gradients.

    Pixels alone leave low frequencies undetermined and edges soft: the coarser scales settle the one, the
    gradients the other. `weight` (b, 1, h, w) as `loss_weights` makes it.
    """
    error = (drawn - truth) * weight
    total = error.abs().mean()
    for scale in (2, 4, 8):
        total = total + F.avg_pool2d(error, scale).abs().mean()
    across = error[..., 1:] - error[..., :-1]
    down = error[..., 1:, :] - error[..., :-1, :]
    return total + across.abs().mean() + down.abs().mean()


def loss_weights(hidden: Tensor, lips: Tensor) -> Tensor:
    """How much each pixel counts: lips and what is between them four times, what lies outside the hidden
    region a little, so that both agree where they meet. `hidden` (b, 1, h, w), `lips` (1, 1, h, w)."""
    raw = hidden * (1.0 + 3.0 * lips) + 0.1 * (1.0 - hidden)
    return raw / torch.clamp((raw * hidden).sum() / hidden.sum(), min=1e-6) * 4.0
