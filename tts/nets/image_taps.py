"""Taps of an image U-Net: names of its stages, and the network cut after any of them as it is at its middle."""

import torch.nn.functional as F
from torch import Tensor, nn

from tts.nets.image_unet import Encoded, ImageUNet

MIDDLE = "middle"


def taps(unet: ImageUNet) -> dict[str, nn.Module]:
    """Every place where h can be taken: down.0 … down.n-1, middle, up.0 … up.n-1, each with the module whose output it is."""
    down = {f"down.{i}": stage for i, (_, stage) in enumerate(unet.down.stages())}
    return down | {MIDDLE: unet.middle} | {f"up.{i}": stage for i, (_, stage) in enumerate(unet.up.stages())}


def tapped(unet: ImageUNet, tap: str) -> nn.Module:
    """The module of a tap.

    Raises:
        ValueError: naming the taps of this network, if there is no such one.
    """
    known = taps(unet)
    if tap not in known:
        raise ValueError(f"no tap {tap!r}. Taps of this network: {', '.join(known)}.")
    return known[tap]


class CutUNet:
    """The halves of a U-Net that is cut after a tap: decode(encode(x, t, z), z) is the network, bit for bit.

    `encode` gives the tap's output as h, and with it what the rest of the network needs; a changed h goes on from there. On the
    way down it is also the skip that the stage leaves.

    Args:
        unet: the network.
        tap: one of `taps`.

    Raises:
        ValueError: as `tapped`.
    """

    def __init__(self, unet: ImageUNet, tap: str = MIDDLE) -> None:
        tapped(unet, tap)
        self.unet, self.tap = unet, tap
        self._part, _, number = tap.partition(".")
        self._end = int(number or 0) + 1  # of the stages before the cut

    def encode(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Encoded:
        """See `ImageUNet.encode`; skips are those that the other half still takes."""
        if self._part == "down":
            folded, time, inner = self.unet.told(x, t, condition)
            skips = self.unet.down(self.unet.stem(folded), time, inner, last=self._end)
            return Encoded(skips[-1], (folded, *skips[:-1]), time)
        encoded = self.unet.encode(x, t, condition)
        if self._part == MIDDLE:
            return encoded
        folded, *skips = encoded.skips
        h = self.unet.up.features(encoded.h, skips, encoded.time, self.unet.inner(condition), last=self._end)
        return Encoded(h, (folded, *skips[: -self._end]), encoded.time)

    def decode(self, encoded: Encoded, condition: Tensor | None = None, *, h: Tensor | None = None) -> Tensor:
        """See `ImageUNet.decode`."""
        h, (folded, *skips), time = encoded.h if h is None else h, encoded.skips, encoded.time
        if self._part == MIDDLE:
            return self.unet.decode(encoded, condition, h=h)
        inner = self.unet.inner(condition)
        if self._part == "down":
            skips += [h, *self.unet.down(h, time, inner, first=self._end)]
            end = self.unet.up.features(self.unet.middle(skips[-1], time, inner), skips, time, inner)
        else:
            end = self.unet.up.features(h, skips, time, inner, first=self._end)
        return F.pixel_shuffle(self.unet.up.image(end, folded), self.unet.unshuffle)
