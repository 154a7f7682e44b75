"""What moves a code by an action: representations of a group in blocks, and the network without structure to compare with."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tts.image.config import MAX_WIDTH
from tts.image.groups.config import HaeConfig, TransitionKind
from tts.image.vae_nets import Perceptron

_SMALL = 0.1  # factor on the initial weights that lead to the algebra: matrix_exp of a large matrix has huge gradients


class Transition(nn.Module, ABC):
    """(g (B, A), z (B, D)) -> the code after the action, (B, D)."""

    @abstractmethod
    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """The codes z (B, D) after actions g (B, A)."""


class GroupRep(Transition):
    """rho(g) = exp(diag(phi_1(g), …, phi_m(g), 0)) in GL(D), with phi a perceptron to the algebra of each block.

    The zeros at the end leave the free units as they are. rho is invertible whatever phi is, with det rho = exp(tr phi).

    Args:
        blocks: their dimensions.
        free_units: how many numbers follow that no action moves.
        action_dim: A.
        width: of phi.
        layers: hidden ones of phi.

    Source: Keurti et al. 2023, "Homomorphism AutoEncoder".
    """

    def __init__(self, blocks: Sequence[int], free_units: int, action_dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.dims, self.free_units = tuple(blocks), free_units
        self.phi = Perceptron(action_dim, width, layers, sum(d * d for d in blocks))
        with torch.no_grad():
            self.phi.leave.weight.mul_(_SMALL)
            self.phi.leave.bias.zero_()

    def entries(self, g: Tensor) -> Tensor:
        """The entries of all blocks of the algebra element, row by row, (B, sum d^2)."""
        return self.phi(g)

    def blocks(self, g: Tensor) -> list[Tensor]:
        """The blocks log rho_k(g), (B, d_k, d_k) each."""
        parts = self.entries(g).split([d * d for d in self.dims], dim=1)
        return [part.unflatten(1, (d, d)) for part, d in zip(parts, self.dims, strict=True)]

    def algebra(self, g: Tensor) -> Tensor:
        """log rho(g), (B, D, D)."""
        blocks = self.blocks(g)
        return block_diagonal([*blocks, *self._free(blocks[0], 0.0)])

    def rho(self, g: Tensor) -> Tensor:
        """The matrices that move a code, (B, D, D)."""
        blocks = [torch.linalg.matrix_exp(block) for block in self.blocks(g)]
        return block_diagonal([*blocks, *self._free(blocks[0], 1.0)])

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """rho(g) z, block by block."""
        parts = z.split([*self.dims, self.free_units], dim=1)
        moved = [
            torch.einsum("bij,bj->bi", torch.linalg.matrix_exp(block), part)
            for block, part in zip(self.blocks(g), parts, strict=False)
        ]
        return torch.cat([*moved, parts[-1]], dim=1)

    def _free(self, like: Tensor, value: float) -> list[Tensor]:
        return [like.new_full((len(like), 1, 1), value)] * self.free_units


class StepRep(GroupRep):
    """rho(g) = exp(c L_0 + sum_k y_k L_k) for g = (c, y): c the change of half log-SNR, y_k the strength of attribute k.

    L_0 is block-diagonal, L_k is 0 but in block k. So steps of denoising are a one-parameter group, rho(a) rho(b) = rho(a + b)
    whatever is learned: a linear picture of the denoising flow (Koopman). Attributes move blocks of their own and commute. A
    matrix of its own for every step of a grid would fit any invertible sequence, and is no choice here.
    """

    support: Tensor

    def __init__(self, blocks: Sequence[int], free_units: int, action_dim: int) -> None:
        nn.Module.__init__(self)
        self.dims, self.free_units = tuple(blocks), free_units
        owners = [k for k, d in enumerate(blocks) for _ in range(d * d)]
        attributes = [[float(owner == k) for owner in owners] for k in range(action_dim - 1)]
        self.register_buffer("support", torch.tensor([[1.0] * len(owners), *attributes]))
        self.generators = nn.Parameter(_SMALL * torch.randn(action_dim, len(owners)))

    def entries(self, g: Tensor) -> Tensor:
        """See `GroupRep.entries`."""
        return g @ (self.generators * self.support)


class FreeTransition(Transition):
    """z + F([z, g]) with a perceptron F: as good for one step, with nothing that makes two steps one."""

    def __init__(self, code_dim: int, action_dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.network = Perceptron(code_dim + action_dim, width, layers, code_dim)

    def act(self, g: Tensor, z: Tensor) -> Tensor:
        """See `Transition.act`."""
        return z + self.network(torch.cat([z, g], dim=1))


def build_transition(config: HaeConfig) -> Transition:
    """The transition of a configuration; see `without_structure` for the sizes of a fair `free` one."""
    if config.transition is TransitionKind.steps:
        return StepRep(config.blocks, config.free_units, config.action_dim)
    if config.transition is TransitionKind.free:
        return FreeTransition(config.code_dim, config.action_dim, config.phi_width, config.phi_layers)
    return GroupRep(config.blocks, config.free_units, config.action_dim, config.phi_width, config.phi_layers)


def without_structure(config: HaeConfig) -> HaeConfig:
    """The configuration with a `free` transition that has about as many parameters: what a representation must beat.

    The width w of its perceptron is the one whose number is nearest; its depth stays.
    """
    wanted = sum(parameter.numel() for parameter in build_transition(config).parameters())
    inputs, outputs, between = config.code_dim + config.action_dim, config.code_dim, config.phi_layers - 1

    def distance(width: int) -> int:
        # (inputs + 1) w + (layers - 1) (w + 1) w + (w + 1) outputs
        return abs((inputs + 1) * width + between * (width + 1) * width + (width + 1) * outputs - wanted)

    width = min(range(1, MAX_WIDTH + 1), key=distance)
    return dataclasses.replace(config, transition=TransitionKind.free, phi_width=width, soft_weight=0.0)


def block_diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """Square matrices (B, d_k, d_k) along the diagonal of one, (B, D, D), the first at the upper left."""
    dim = sum(block.shape[-1] for block in blocks)
    matrix = blocks[0].new_zeros(len(blocks[0]), dim, dim)
    start = 0
    for block in blocks:
        end = start + block.shape[-1]
        matrix[:, start:end, start:end] = block
        start = end
    return matrix
