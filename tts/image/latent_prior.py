"""A diffusion model of codes: draws new ones where the codes of images lie."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.config import check_ranges
from tts.diffusion import Composite, Parametrization, Schedule, Term, TimeSampler, denoising_loss, from_betas, sample, time_grid
from tts.diffusion.parametrization import ParametrizationKind
from tts.errors import DataError
from tts.image.config import MAX_LAYERS, MAX_WIDTH
from tts.nets.embeddings import sinusoidal_embedding

BETA, N_BETAS = 0.008, 1000
TIME_WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class LatentPriorConfig:
    """The codes' size, that of the network, and what it predicts; Diff-AE has 10 layers of 2048 and `eps`."""

    n_units: int
    unit_dim: int = 1
    width: int = 128
    layers: int = 5
    parametrization: ParametrizationKind = ParametrizationKind.preconditioned

    def __post_init__(self) -> None:
        check_ranges(self, "latent_prior", "n_units unit_dim width", 1, MAX_WIDTH)
        check_ranges(self, "latent_prior", "layers", 2, MAX_LAYERS)


class SkipMlp(nn.Module):
    """Linear layers that all see the input again, scaled by the time: (B, D), t (B,) -> (B, D); untrained it gives zero.

        h <- SiLU(LayerNorm((1 + s_i(t)) W_i [h, x]))

    Source: Preechakul et al. 2022 (Diff-AE), latent network.
    """

    def __init__(self, dim: int, width: int, layers: int) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(TIME_WIDTH, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        inputs = [dim, *[width + dim] * (layers - 2)]
        self.layers = nn.ModuleList(nn.Linear(i, width) for i in inputs)
        self.scales = nn.ModuleList(nn.Linear(width, width) for _ in inputs)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in inputs)
        self.out = nn.Linear(width + dim, dim)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """x (B, D), t (B,) -> (B, D)."""
        time = self.time(sinusoidal_embedding(t, TIME_WIDTH).to(x.dtype))
        h = x[:, :0]
        for layer, scale, norm in zip(self.layers, self.scales, self.norms, strict=True):
            h = F.silu(norm((1 + scale(time)) * layer(torch.cat((h, x), dim=1))))
        return self.out(torch.cat((h, x), dim=1))


class LatentPrior(nn.Module):
    """p(z) of codes (n, N, d) by diffusion of the standardised codes, with beta = 0.008 over 1000 steps; nothing is clipped.

    Call `measure` with the codes of the data first: their mean and deviation are buffers. The networks' error is squared, so
    that the score is right; Diff-AE takes its absolute value.

    Source: Preechakul et al. 2022 (Diff-AE), section 4.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: LatentPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.n_units, config.unit_dim))
        self.register_buffer("std", torch.ones(config.n_units, config.unit_dim))
        self.network = SkipMlp(config.n_units * config.unit_dim, config.width, config.layers)
        with torch.device("cpu"):  # its numbers are read, also where the weights are yet to come ("meta")
            self.times = TimeSampler(self.schedule, "uniform")

    @property
    def schedule(self) -> Schedule:
        """Constant noise rate."""
        return from_betas(torch.full((N_BETAS,), BETA, dtype=torch.float64, device="cpu"))

    def measure(self, z: Tensor) -> None:
        """Set mean and deviation to those of codes z (n, N, d); a number that never changes keeps the deviation 1.

        Raises:
            DataError: if there are less than two codes, or one is not finite.
        """
        if len(z) < 2 or not bool(torch.isfinite(z).all()):
            raise DataError(f"the latent prior needs at least 2 finite codes, found {len(z)}. Encode the images again.")
        std, mean = torch.std_mean(z.double(), dim=0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, 1.0))

    def composite(self) -> Composite:
        """The denoiser of the standardised codes as vectors, (B, N d)."""
        return Composite(self.schedule, [Term(self.network)], Parametrization(self.config.parametrization.value))

    def losses(self, z: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The scalar `denoising` of codes z (B, N, d)."""
        x = ((z - self.mean) / self.std).flatten(1)
        t, _ = self.times.draw(len(x), generator)
        eps = torch.randn(x.shape, generator=generator).to(x)
        return {"denoising": denoising_loss(self.composite(), x, t.to(x.device), eps).mean()}

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator, *, steps: int = 50, sampler: str = "dpmpp_2m") -> Tensor:
        """New codes, (n, N, d).

        Args:
            n: how many.
            generator: of the noise, on the CPU.
            steps: of the sampler, 1 to 1000.
            sampler: as in `tts.diffusion.sample`.
        """

        def noise(u: Tensor) -> Tensor:
            return torch.randn(u.shape, generator=generator).to(u)

        start = noise(self.mean.new_empty(n, self.config.n_units * self.config.unit_dim))
        times = time_grid(self.schedule, steps, "quadratic")  # a uniform grid would lose a fifth of the spread in 20 steps
        x = sample(self.composite(), start, self.schedule, times, sampler=sampler, noise=noise)
        return x.view(n, *self.mean.shape) * self.std + self.mean
