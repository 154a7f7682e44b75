"""One pass of a frozen network at each (u, t), however many ask for it: the base and every gradient head over it."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from tts.nets.image_unet import Encoded

T = TypeVar("T")


class Once(Generic[T]):
    """A function of (u, t) that remembers its last answer, and gives it again for the very same two tensors.

    A `Composite` hands the same tensors to its base and to all terms without a mean, so what they share is computed once.
    Tensors are told apart by identity: nothing in the core changes one in place. An answer without history is made anew when
    gradients are wanted.

    Args:
        function: (u, t (B,)) -> answer.
        trained: whether the function has parameters that learn; otherwise only u can want gradients.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], T], *, trained: bool) -> None:
        self.function, self.trained = function, trained
        self._last: tuple[Tensor, Tensor, bool, T] | None = None

    def __call__(self, u: Tensor, t: Tensor) -> T:
        """function(u, t)."""
        graph = torch.is_grad_enabled() and (self.trained or u.requires_grad)
        if self._last is not None:
            last_u, last_t, has_graph, answer = self._last
            if last_u is u and last_t is t and has_graph >= graph:
                return answer
        answer = self.function(u, t)
        self._last = (u, t, graph, answer)
        return answer

    @property
    def asked(self) -> tuple[Tensor, Tensor]:
        """The (u, t) of the last answer.

        Raises:
            RuntimeError: if there is none yet.
        """
        if self._last is None:
            raise RuntimeError("nothing was asked yet, so there is no last (u, t).")
        return self._last[0], self._last[1]


class HalvedNetwork(Protocol):
    """What can be cut at its middle, as `ImageUNet` can: decode(encode(x, t, c), c) is its output."""

    def encode(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Encoded:
        """See `ImageUNet.encode`."""

    def decode(self, encoded: Encoded, condition: Tensor | None = None, *, h: Tensor | None = None) -> Tensor:
        """See `ImageUNet.decode`."""


class FrozenPath:
    """A frozen network during one run of a sampler or one loss: its encoder half and its output, once for each (u, t).

    Args:
        network: an `ImageUNet`, or what has its halves.
        condition: what the network is told, one row for every state or one for all; without history.

    Attributes:
        encoded: (u, t) -> Encoded, which gradient heads and edits of h read.
        output: (u, t) -> (B, C, H, W), what the network itself makes of it: the network of the base's only term.
    """

    def __init__(self, network: HalvedNetwork, condition: Tensor | None = None) -> None:
        self.network, self.condition = network, condition
        self.encoded: Once[Encoded] = Once(lambda u, t: network.encode(u, t, self._rows(u)), trained=False)
        self.output: Once[Tensor] = Once(self.decode, trained=False)

    def decode(self, u: Tensor, t: Tensor, h: Tensor | None = None) -> Tensor:
        """What the network makes of (u, t) with `h`, where it is given, in the place of its own: (B, C, H, W)."""
        return self.network.decode(self.encoded(u, t), self._rows(u), h=h)

    def _rows(self, u: Tensor) -> Tensor | None:
        return None if self.condition is None else self.condition.expand(len(u), *self.condition.shape[1:])
