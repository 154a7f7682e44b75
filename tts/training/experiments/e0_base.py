"""E0: the base model, and what its images are worth beside the floor and the ceiling of the measure itself."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tts.diffusion import sample
from tts.image.base import BaseModel
from tts.image.registry import build_model
from tts.training.experiments.context import CHUNK, Context, drawn
from tts.training.experiments.expectations import Expectation, Outcome, ratio
from tts.training.experiments.plots import Plot

TITLE = "Base model: Fréchet distance (FD) on features of the factor regressor"
NOISE = 1000  # seeds of states from here on
BLUR = 4  # pixels
BINS = 10

EXPECTATIONS = (
    Expectation("skill shape", "accuracy of the factor regressor; below it readouts mean little", above=0.97),
    Expectation("skill scale", "R² of the factor regressor", above=0.95),
    Expectation("skill x", "R² of the factor regressor", above=0.95),
    Expectation("skill y", "R² of the factor regressor", above=0.95),
    Expectation("skill orientation", "low: a square turned by a quarter is the same; not read out below 0.9"),
    Expectation("FD floor", "train against test images, the least there is"),
    Expectation("FD ceiling", "shuffled pixels, no better than noise"),
    Expectation("FD blurred", "reference: real images blurred"),
    Expectation("FD untrained", "reference: the same network before training"),
    Expectation("FD DDIM", "near the floor"),
    Expectation("FD DDIM / FD best reference", "below both references", below=1.0),
    Expectation("FD DDIM, few images", "as many as the next"),
    Expectation("FD ancestral, few images", "1000 steps of DDPM"),
    Expectation("FD DDIM / FD ancestral", "50 steps nearly as good as 1000", below=1.5, proposed=True),
    Expectation("histogram distance", "largest total variation between readouts of samples and of real images"),
)
PLOTS = (Plot("histograms", ("real scale", "sampled scale", "real x", "sampled x"), "readout", "share"),)


@torch.no_grad()
def run(context: Context, seed: int) -> Outcome:
    """Train the base of this seed and measure it."""
    sizes, model = context.sizes, context.base(seed)
    columns = context.columns("shape", "scale", "x", "y")
    n, few = sizes.samples, sizes.small_samples
    images = context.ddim(model.composite(None), model, context.noise(n, NOISE + seed))
    times = model.grid(sizes.ancestral_steps)
    noise, denoiser = drawn(NOISE + seed), model.composite(None)
    slow = [
        sample(denoiser, u, model.schedule, times, sampler="ancestral", noise=noise)
        for u in context.noise(few, NOISE + seed).split(CHUNK)
    ]
    untrained = _untrained(model, seed)
    real = context.pictures(context.held_out(n, n))
    figures = {f"skill {name}": value for name, value in context.skill.items()} | {
        "FD floor": context.fd_floor(n),
        "FD ceiling": context.fd(_shuffled(real, seed)),
        "FD blurred": context.fd(_blurred(real)),
        "FD untrained": context.fd(context.ddim(untrained.composite(None), untrained, context.noise(n, NOISE + seed))),
        "FD DDIM": context.fd(images),
        "FD DDIM, few images": context.fd(images[:few]),
        "FD ancestral, few images": context.fd(torch.cat(slow)),
    }
    reference = min(figures["FD blurred"], figures["FD untrained"])
    figures["FD DDIM / FD best reference"] = ratio(figures["FD DDIM"], reference)
    figures["FD DDIM / FD ancestral"] = ratio(figures["FD DDIM, few images"], figures["FD ancestral, few images"])
    sampled, truth = context.readouts(images), context.readouts(real)
    curves: dict[str, list[tuple[float, float]]] = {}
    distances = []
    for name, own in columns.items():
        for column in own:
            low, high = truth[:, column].min(), truth[:, column].max()
            edges = np.linspace(low, high + 1e-6 * (1 + high - low), BINS + 1)
            shares = [np.histogram(r[:, column].clip(low, high), edges)[0] / len(r) for r in (truth, sampled)]
            distances.append(0.5 * float(np.abs(shares[0] - shares[1]).sum()))
            centres = ((edges[1:] + edges[:-1]) / 2).tolist()
            for kind, share in zip(("real", "sampled"), shares, strict=True):
                curves[f"{kind} {name}"] = list(zip(centres, share.tolist(), strict=True))
    figures["histogram distance"] = max(distances)
    return Outcome(figures, curves)


def _untrained(model: BaseModel, seed: int) -> BaseModel:
    """The network of the model with fresh weights, and the same spread of the data."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251  initial weights know no generator
        fresh = build_model(model.config)
    if not isinstance(fresh, BaseModel):
        raise TypeError("the base is a ddpm.")
    fresh.data_std.copy_(model.data_std)
    return fresh.eval()


def _shuffled(x: Tensor, seed: int) -> Tensor:
    """Each image with its own pixels in random order."""
    order = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)).flatten(1).argsort(1)
    return x.flatten(1).gather(1, order).view_as(x)


def _blurred(x: Tensor) -> Tensor:
    """Each square of BLUR pixels its mean."""
    return F.interpolate(F.avg_pool2d(x, BLUR), scale_factor=float(BLUR), mode="nearest")
