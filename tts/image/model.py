"""What all image methods have in common: a code of an image, losses in phases, and for diffusion a composite denoiser."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from tts.diffusion import (
    Composite,
    Parametrization,
    Schedule,
    TimeSampler,
    denoising_loss,
    time_grid,
)
from tts.diffusion.parametrization import ParametrizationKind
from tts.image.config import DiffusionModelConfig, ModelConfig, TimesKind
from tts.image.first_stage import build_stage
from tts.image.schedules import build_schedule


class RepresentationModel(nn.Module, ABC):
    """An image x (B, C, H, W) in [-1, 1] and its code z (B, N, d): N units of d numbers each.

    Attributes:
        config: the method and its sizes.
        phases: groups of parameters, each with an optimizer of its own, trained in turn on every batch.
        progress: share of the training done, 0 to 1, a buffer. The training task sets it; annealed weights read it.
    """

    phases: tuple[str, ...] = ("main",)
    progress: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("progress", torch.zeros(()))

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """The code of each image, (B, N, d); deterministic, and that of an image does not depend on its neighbours."""

    @abstractmethod
    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """The scalars whose sum this phase minimises, already weighted; their names are logged.

        Args:
            x: images, (B, C, H, W) in [-1, 1].
            labels: values of the factors, (B, K) int64; None where there are none.
            generator: of every random draw, on the CPU.
            phase: one of `phases`.

        Raises:
            ValueError: if the phase is unknown.
        """

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """What the optimizer of this phase moves: by default all that is not frozen.

        Raises:
            ValueError: if the phase is unknown.
        """
        self.check_phase(phase)
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def check_phase(self, phase: str) -> None:
        """Raises ValueError unless the phase is one of `phases`."""
        if phase not in self.phases:
            raise ValueError(f"unknown phase {phase!r}. Phases of this model: {', '.join(self.phases)}.")


class DiffusionModelBase(RepresentationModel):
    """A method whose decoder is a `Composite`: sampled by `tts.diffusion.sample`, inverted by `tts.diffusion.invert`.

    Attributes:
        times: where in time `losses` measures.
        data_std: root mean square of the data in each channel, (C, 1, 1), a buffer: what `preconditioned` knows of them
            before any network. The training task measures it with `measure`.
    """

    config: DiffusionModelConfig
    data_std: Tensor

    def __init__(self, config: DiffusionModelConfig) -> None:
        super().__init__(config)
        self.first_stage = None if config.stage is None else build_stage(config.stage).requires_grad_(False)
        self.register_buffer("data_std", torch.full((config.state_channels, 1, 1), 0.5))
        diffusion = config.diffusion
        with torch.device("cpu"):  # its numbers are read, also where the weights are yet to come ("meta")
            self.times = TimeSampler(self.schedule, diffusion.times.value, diffusion.t_min)

    @abstractmethod
    def composite(self, z: Tensor | None) -> Composite:
        """The denoiser given the codes z (B, N, d); for None the unconditional one.

        Raises:
            ValueError: if z is None and this method has no unconditional denoiser.
        """

    @property
    def schedule(self) -> Schedule:
        """The variance-preserving schedule, shifted in log-SNR."""
        return build_schedule(self.config.diffusion)

    @property
    def parametrization(self) -> Parametrization:
        """What the sum of networks stands for; `preconditioned` knows the spread of the data."""
        kind = self.config.diffusion.parametrization
        return Parametrization(kind.value, self.data_std if kind is ParametrizationKind.preconditioned else 1.0)

    @property
    def first_time(self) -> float:
        """Where sampling begins and inversion ends, see `Parametrization.first_time`."""
        return self.parametrization.first_time(self.schedule)

    def grid(self, steps: int, kind: str = "uniform") -> Tensor:
        """The times that a sampler visits, (steps + 1,), from `first_time` to 0; see `time_grid`."""
        return time_grid(self.schedule, steps, kind, start=self.first_time)

    @property
    def drawn_code_times(self) -> tuple[float, float]:
        """The times (from, to] at which a code that a latent prior drew tells the denoiser anything.

        At others the unconditional denoiser samples; by default there are none.
        """
        return 0.0, 1.0

    @property
    def own_code_times(self) -> tuple[float, float]:
        """The same for codes of the method's own prior, which are less like those of images."""
        return self.drawn_code_times

    @property
    def diffuses_pixels(self) -> bool:
        """Whether the state is the image itself, so that x0_hat may be held in [-1, 1] with `clip_to_pixels`."""
        return self.first_stage is None

    def take_first_stage(self, stage: nn.Module) -> None:
        """Copy a trained first stage of the same configuration into the frozen one."""
        if self.first_stage is not None:
            self.first_stage.load_state_dict(stage.state_dict())

    def train(self, mode: bool = True) -> "DiffusionModelBase":
        """As always, but the frozen first stage stays in evaluation."""
        super().train(mode)
        if self.first_stage is not None:
            self.first_stage.eval()
        return self

    def state(self, x: Tensor) -> Tensor:
        """What is diffused of the images x (B, C, H, W): they themselves, or latents of the first stage."""
        return x if self.first_stage is None else self.first_stage.encode(x)

    def pixels(self, y: Tensor) -> Tensor:
        """The images (B, C, H, W) of finished states y at t = 0."""
        return y if self.first_stage is None else self.first_stage.finish(y)

    def estimate(self, y: Tensor) -> Tensor:
        """The images (B, C, H, W) of estimates of y on the way; no codebook rounds them."""
        return y if self.first_stage is None else self.first_stage.decode(y)

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        """Set `data_std` to the root mean square of each channel of the states of images x (n, C, H, W), at least 1e-3."""
        rms = self.state(x).double().square().mean(dim=(0, 2, 3)).sqrt()[:, None, None]
        self.data_std.copy_(rms.clamp(min=1e-3))

    def draw(self, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A time from `times` for each state, (B,), and standard normal noise, the shape of y."""
        t, _ = self.times.draw(len(y), generator)
        return t.to(y.device), torch.randn(y.shape, generator=generator).to(y)

    def denoising(self, composite: Composite, y: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """The error of each state, (B,), weighted as the configuration says; in training `gap` times learn of it."""
        losses = denoising_loss(composite, y, t, eps, weighting=self.config.diffusion.weighting.value)
        if self.training and self.config.diffusion.times is TimesKind.gap:
            self.times.update(t, losses)
        return losses


def clip_to_pixels(step: int, t: float, x0: Tensor) -> Tensor:
    """The hook of `tts.diffusion.sample` that keeps x0_hat in [-1, 1]: for pixels only, never for latents or codes."""
    return x0.clamp(-1, 1)
