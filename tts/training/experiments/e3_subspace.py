"""E3: Subspace Diffusion from half the side, switched where the complement is Gaussian; against switching too early."""

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tts.diffusion import time_grid
from tts.diffusion.samplers import Denoiser, Noise
from tts.image.base import BaseModel
from tts.image.subspace.complement import Complement, measure_complement
from tts.image.subspace.pooled import cost_share, pooled_config, pooled_denoiser
from tts.image.subspace.projections import AveragePool
from tts.image.subspace.switch import Langevin, Subspace, grid_through, sample_subspaces
from tts.image.subspace.times import choose_time, orthogonal_fisher
from tts.training.experiments.context import CHUNK, Context, drawn
from tts.training.experiments.expectations import Expectation, Outcome, ratio
from tts.training.experiments.plots import Plot

TITLE = "Subspace Diffusion: half the side above t_1, both with equal steps and from the same noise"
NOISE = 6000  # seeds of states from here on
CAREFUL, BOLD = 3e-3, 1e-2  # thresholds of D_F
EARLY = 0.05
LATEST = 0.95  # of t_1: above it there is nothing to save
COMPLEMENT_IMAGES = 4000
CORRECTION = Langevin()
HALVED = 0.25  # cost of one call at half the side

EXPECTATIONS = (
    Expectation("t_1", "where D_F = 3e-3"),
    Expectation("t_1 bold", "where D_F = 1e-2, earlier"),
    Expectation("t_1 bold - t_1", "D_F falls with t", below=0.0),
    Expectation("FLOPs share", "counted, of the full model's, with the calls of the correction"),
    Expectation("FLOPs share - formula", "of the steps alone: t_1 + (1 - t_1) / 4, but for the grid", below=0.03, above=-0.03),
    Expectation("time share / FLOPs share", "CPU time follows", below=1.15, above=0.85, proposed=True),
    Expectation("FD floor", "train against test images, the least there is"),
    Expectation("FD full", "DDIM of the base"),
    Expectation("FD / FD full", "not worse by more than a tenth", below=1.1, proposed=True),
    Expectation("FD bold / FD full", "the bolder switch"),
    Expectation("FD early / FD", "control: t_1 = 0.05 is worse", above=1.0),
    Expectation("FD no Langevin / FD", "the correction, left out"),
    Expectation("FD no noise / FD no Langevin", "control: x_perp at its mean is worse, both uncorrected", above=1.0),
)
PLOTS = (Plot("fisher", ("D_F",), "t", "orthogonal Fisher divergence", log_y=True),)


def run(context: Context, seed: int) -> Outcome:
    """Train the model of pooled images, choose the times by the base, and sample both ways."""
    sizes, base = context.sizes, context.base(seed)
    shift = pooled_config(base.config, 1).diffusion.shift
    settings = (context.width, f"steps={sizes.pooled_steps}", "pool=1", f"model.diffusion.shift={shift:.9g}")
    pooled = context.model("pooled", seed, "ddpm_mini", *settings)
    projection, small = AveragePool(1), pooled_denoiser(base, pooled, 1)
    images = context.pictures(context.held_out(COMPLEMENT_IMAGES))
    complement = measure_complement(images.split(CHUNK), projection)
    times = torch.linspace(0.02, 1, sizes.fisher_times, dtype=torch.float64)
    fisher = orthogonal_fisher(
        base.composite(None),
        images[: sizes.fisher_images].split(CHUNK),
        projection,
        complement,
        base.schedule,
        times,
        drawn(NOISE + seed),
    )
    careful, bold = (min(choose_time(times, fisher, threshold), LATEST) for threshold in (CAREFUL, BOLD))
    u = context.noise(sizes.samples, NOISE + seed)
    sampler = _Sampler(context, base, small, complement, seed)
    full, full_seconds = _timed(lambda: context.ddim(base.composite(None), base, u))
    found, seconds = _timed(lambda: sampler(u, careful))
    fd_full, fd = context.fd(full), context.fd(found)
    grid = grid_through(base.grid(sizes.sampling_steps), [careful])
    ratios = [flops(pooled) / flops(base)]
    share = cost_share(grid, [careful], ratios, CORRECTION.steps)
    uncorrected = context.fd(sampler(u, careful, langevin=None))
    no_noise = context.fd(sampler(u, careful, langevin=None, noise=torch.zeros_like))
    figures = {
        "t_1": careful,
        "t_1 bold": bold,
        "t_1 bold - t_1": bold - careful,
        "FLOPs share": share,
        "FLOPs share - formula": cost_share(grid, [careful], ratios) - (careful + (1 - careful) * HALVED),
        "time share / FLOPs share": ratio(seconds / full_seconds, share),
        "FD floor": context.fd_floor(sizes.samples),
        "FD full": fd_full,
        "FD / FD full": ratio(fd, fd_full),
        "FD bold / FD full": ratio(context.fd(sampler(u, bold)), fd_full),
        "FD early / FD": ratio(context.fd(sampler(u, EARLY)), fd),
        "FD no Langevin / FD": ratio(uncorrected, fd),
        "FD no noise / FD no Langevin": ratio(no_noise, uncorrected),
    }
    return Outcome(figures, {"D_F": list(zip(times.tolist(), fisher.tolist(), strict=True))})


class _Sampler:
    """Samples through the subspace, from the projection of the noise that the full model starts from."""

    def __init__(self, context: Context, base: BaseModel, small: Denoiser, complement: Complement, seed: int) -> None:
        self.context, self.base, self.small, self.complement, self.seed = context, base, small, complement, seed

    @torch.no_grad()
    def __call__(self, u: Tensor, t_1: float, *, noise: Noise | None = None, langevin: Langevin | None = CORRECTION) -> Tensor:
        """Images from full states u, switched at t_1; with a noise of zeros x_perp begins at its mean."""
        projection, schedule = AveragePool(1), self.base.schedule
        grid = grid_through(time_grid(schedule, self.context.sizes.sampling_steps), [t_1])
        subspace = Subspace(projection, self.complement, t_1, self.small)
        noise = noise or drawn(NOISE + 1000 + self.seed)
        parts: Sequence[Tensor] = [
            sample_subspaces(
                self.base.composite(None),
                [subspace],
                projection.down(part),
                schedule,
                grid,
                noise=noise,
                langevin=langevin,
            )
            for part in u.split(CHUNK)
        ]
        return torch.cat(list(parts))


def flops(model: BaseModel) -> int:
    """Floating-point operations of one call for one image."""
    c = model.config
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.composite(None)(torch.zeros(1, c.channels, c.size, c.size), torch.full((1,), 0.5))
    return int(counter.get_total_flops())


def _timed(make: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What it makes, and the CPU seconds of all threads."""
    began = time.process_time()
    made = make()
    return made, time.process_time() - began
