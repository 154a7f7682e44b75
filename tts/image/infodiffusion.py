"""InfoDiffusion: a diffusion autoencoder whose codes keep mutual information and follow a prior."""

from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor, nn

from tts.config import check_ranges
from tts.errors import ConfigError
from tts.image.conditioned import ConditionedModel
from tts.image.config import EncodedModelConfig, Kind
from tts.image.divergence import DivergenceKind, divergence
from tts.image.priors import PRIORS, DiscretePrior, Prior

WITH_KL = ("gaussian", "bernoulli", "categorical")  # priors to which the divergence of a posterior has a closed form


class PriorKind(str, Enum):
    """What the codes are to follow; see `tts.image.priors`. The last two make the codes discrete."""

    gaussian = "gaussian"
    cube = "cube"
    ring = "ring"
    swiss_roll = "swiss_roll"
    bernoulli = "bernoulli"
    categorical = "categorical"


@dataclass(frozen=True, kw_only=True)
class InfoDiffusionConfig(EncodedModelConfig):
    """InfoDiffusion; zeta = 1 and lambda_ = 0.1 is the published setting: no KL, a code without noise, 0.1 of MMD."""

    kind: Kind = Kind.infodiffusion
    zeta: float = 1.0  # how much mutual information of image and code is asked for
    lambda_: float = 0.1  # how much the codes must follow the prior
    prior: PriorKind = PriorKind.gaussian
    divergence: DivergenceKind = DivergenceKind.mmd_rbf
    capacity: float = 0.0  # nats that the KL may cost in the end; the loss is |KL - capacity|
    capacity_until: float = 0.5  # share of the training over which the capacity grows from 0
    temperature: float = 0.1  # of the relaxed discrete codes at the end of the training, falling geometrically from 1
    two_phase: float = 0.5  # drawn codes are used at times up to this; before, the unconditional denoiser. 1: one phase
    null_rate: float = 0.1  # share of the images whose code is kept from the denoiser, which so learns to do without

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "zeta", 0, 1)
        check_ranges(self, "model", "lambda_", 0, 1e6)
        check_ranges(self, "model", "capacity", 0, 1e4)
        check_ranges(self, "model", "capacity_until temperature", 1e-3, 1)
        check_ranges(self, "model", "null_rate", 0.01, 0.99)
        check_ranges(self, "model", "two_phase", 0.01, 1)
        if self.divergence_weight < 0:
            raise ConfigError(f"model: lambda_ + zeta - 1 must not be below 0, found {self.divergence_weight:g}.")
        if self.kl_weight > 0 and self.prior.value not in WITH_KL:
            raise ConfigError(
                f"model.zeta: found {self.zeta:g}, expected 1 with the prior {self.prior.value}, to which the KL has no closed "
                f"form. Priors with one: {', '.join(WITH_KL)}."
            )
        try:
            self.build_prior()
        except ValueError as err:
            raise ConfigError(f"model.prior: {err} Change n_units or unit_dim.") from err

    @property
    def kl_weight(self) -> float:
        """1 - zeta, of KL(q(z | x) || p(z))."""
        return 1 - self.zeta

    @property
    def divergence_weight(self) -> float:
        """lambda + zeta - 1, of D(q(z), p(z)); 0 within rounding is 0."""
        weight = self.lambda_ + self.zeta - 1
        return 0.0 if abs(weight) < 1e-12 else weight

    def build_prior(self) -> Prior:
        """The prior over codes of this size."""
        return PRIORS[self.prior.value](self.n_units, self.unit_dim)


class InfoDiffusion(ConditionedModel):
    """Adaptive group norm with scale and shift, and a code under two reins.

        loss = denoising + (1 - zeta) |KL(q(z | x) || p) - C| + (lambda + zeta - 1) D(q(z), p)

    which is the negative ELBO, less zeta I(x; z), plus (lambda - 1) KL(q(z) || p), with D for the last. The code is the
    posterior's mean where there is no KL, a draw from it where there is; a relaxed draw for discrete priors, and their
    likeliest code in `encode`.

    Attributes:
        prior: p(z).
        null: what the denoiser is told instead of a code, (1, N d).

    Source: Wang et al. 2023; the algebra of Zhao et al. 2019 (InfoVAE).
    """

    config: InfoDiffusionConfig

    def __init__(self, config: InfoDiffusionConfig) -> None:
        discrete = config.prior in (PriorKind.bernoulli, PriorKind.categorical)
        n_heads = 2 if config.kl_weight > 0 and not discrete else 1
        width = config.code_dim
        super().__init__(config, condition="scale_shift", condition_dim=width, encoder_outputs=n_heads * width)
        self.prior = config.build_prior()
        self.null = nn.Parameter(torch.zeros(1, width))

    def condition(self, z: Tensor) -> Tensor:
        """The whole code as one vector, (B, N d)."""
        return z.flatten(1)

    def posterior(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the encoder says of the code, each (B, N, d): logits, or the mean, or mean and log-variance."""
        shape = (self.config.n_units, self.config.unit_dim)
        return tuple(part.unflatten(1, shape) for part in self.encoder(x).float().split(self.config.code_dim, dim=1))

    def encode(self, x: Tensor) -> Tensor:
        """The likeliest code, (B, N, d): the posterior's mean, or 0 and 1 for discrete codes."""
        first = self.posterior(x)[0]
        return self.prior.harden(first) if isinstance(self.prior, DiscretePrior) else first

    @property
    def temperature(self) -> float:
        """Of relaxed codes now: from 1 to `config.temperature`, geometrically over the training."""
        return self.config.temperature ** self.progress.item()

    def drawn_code(self, posterior: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        """The code that training uses, (B, N, d)."""
        if isinstance(self.prior, DiscretePrior):
            return self.prior.relax(posterior[0], self.temperature, generator)
        if len(posterior) == 1:
            return posterior[0]
        mean, log_variance = posterior
        return mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=generator).to(mean)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See `RepresentationModel.losses`: `denoising`, and `kl` and `divergence` where they have a weight."""
        self.check_phase(phase)
        config, y, posterior = self.config, self.state(x), self.posterior(x)
        z = self.drawn_code(posterior, generator)
        dropped = (torch.rand(len(x), 1, generator=generator) < config.null_rate).to(x.device)
        condition = torch.where(dropped, self.null, self.condition(z))
        losses = {"denoising": self.denoising(self.composite_of(condition), y, *self.draw(y, generator)).mean()}
        if config.kl_weight > 0:
            kl = self.prior.kl(*posterior)
            if kl is None:
                raise RuntimeError("the configuration lets no prior through that has no closed KL.")
            capacity = config.capacity * (self.progress / config.capacity_until).clamp(max=1)
            losses["kl"] = config.kl_weight * (kl.mean() - capacity).abs()
        if config.divergence_weight > 0:
            draws = self.prior.sample(len(z), generator).to(z)
            losses["divergence"] = config.divergence_weight * divergence(config.divergence, z, draws, generator)
        return losses

    def told(self, z: Tensor | None) -> Tensor:
        """`condition` of the codes z (B, N, d), or what stands for none of them."""
        return self.null if z is None else self.condition(z)

    @property
    def own_code_times(self) -> tuple[float, float]:
        """Two phases: codes drawn from the prior are used at times up to `config.two_phase` only.

        They are not quite those of images; where the noise is strong the unconditional denoiser sets the image's frame without
        them.

        Source: Wang et al. 2023, two-phase sampling.
        """
        return 0.0, self.config.two_phase
