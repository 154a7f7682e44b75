"""E4: classifier guidance, one attribute over weights and two by a plain and by a robust sum."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tts.diffusion import sample
from tts.image.base import BaseModel
from tts.image.factor_regressor import read_images
from tts.image.guidance.classifier import NoisyClassifier
from tts.image.guidance.rules import robust_rules
from tts.image.guidance.wishes import Wish
from tts.training.classifier import ClassifierTraining, classifier_config, train_classifier
from tts.training.experiments.context import CHUNK, Context
from tts.training.experiments.expectations import Expectation, Outcome, falling, ratio
from tts.training.experiments.plots import Plot

TITLE = "Classifier guidance: `shape = heart`, and with it `x = 0.8`, judged by the independent regressor"
NOISE = 8000  # seeds of states from here on
HEART = 2  # value of the shape
PLACE, NEAR = 0.8, 0.15  # of x in [0, 1], and how near is a hit
STRONG = 3.0
ACTIVE = (0.0, 0.95)  # times of the guidance: a step from t = 1, where alpha is all but 0, multiplies a classifier's errors
VALUES = ("scale", "x", "y")  # factors in order

EXPECTATIONS = (
    Expectation("classifier, t < 0.1", "accuracy of shapes in little noise", above=0.9, proposed=True),
    Expectation("classifier, t > 0.9", "chance in noise alone, or labels leak", below=0.45, proposed=True),
    Expectation("hits w = 0", "control: no guidance, the prior of a third"),
    Expectation("hits w = 3", "nearly all", above=0.9, proposed=True),
    Expectation("FD w = 3", "to real images of that shape"),
    Expectation("outside [-1, 1] w = 3", "share of pixels: large scales show here"),
    Expectation("diversity w = 3 / w = 0", "variance of features falls with w", below=1.0),
    Expectation("falls of diversity", "at every weight, share of neighbours", above=0.99),
    Expectation("both w = 0", "control: both attributes without guidance"),
    Expectation("both, plain sum", "hits of both at w = 3"),
    Expectation("both, robust sum", "cap, average over steps and conflict removal at the same weights"),
    Expectation("both, robust - plain", "the robust sum is no worse", above=-0.02, proposed=True),
    Expectation("diversity, robust / plain", "and keeps more of the variety"),
)
PLOTS = (Plot("weight", ("hits", "relative diversity"), "weight w", "share"),)


def run(context: Context, seed: int) -> Outcome:
    """Train a classifier of noisy images, and guide the base of this seed by it."""
    sizes, base = context.sizes, context.base(seed)
    context.columns("shape", "x")
    classifier, skill = trained_classifier(context, base, seed)
    guide = _Guide(context, base, classifier, seed)
    shape = classifier.index("shape")
    hits, diversities, images = [], [], {}
    for weight in sizes.guidance_weights:
        images[weight] = guide([_heart(weight)])
        hits.append(float(guide.hearts(images[weight]).mean()))
        diversities.append(guide.diversity(images[weight]))
    wishes = [_heart(STRONG), Wish(name="x", values=(PLACE,), weight=STRONG, interval=ACTIVE)]
    plain, robust = guide(wishes), guide(wishes, robust=True)
    at = dict(zip(sizes.guidance_weights, zip(hits, diversities, strict=True), strict=True))
    strong = images[STRONG]
    figures = {
        "classifier, t < 0.1": skill["skill"][0][shape],
        "classifier, t > 0.9": skill["skill"][-1][shape],
        "hits w = 0": at[0.0][0],
        "hits w = 3": at[STRONG][0],
        "FD w = 3": guide.distance(strong),
        "outside [-1, 1] w = 3": float((strong.abs() > 1.02).double().mean()),
        "diversity w = 3 / w = 0": ratio(at[STRONG][1], at[0.0][1]),
        "falls of diversity": falling(diversities),
        "both w = 0": guide.both(images[0.0]),
        "both, plain sum": guide.both(plain),
        "both, robust sum": guide.both(robust),
        "both, robust - plain": guide.both(robust) - guide.both(plain),
        "diversity, robust / plain": ratio(guide.diversity(robust), guide.diversity(plain)),
    }
    relative = [ratio(value, diversities[0]) for value in diversities]
    curves = {"hits": hits, "relative diversity": relative}
    return Outcome(figures, {k: list(zip(sizes.guidance_weights, v, strict=True)) for k, v in curves.items()})


def trained_classifier(context: Context, base: BaseModel, seed: int) -> tuple[NoisyClassifier, dict[str, Any]]:
    """A classifier of the states of the base, and its skill in each tenth of time."""
    sizes, whole = context.sizes, classifier_config(base, context.images, values=VALUES)
    config = dataclasses.replace(whole, unet=dataclasses.replace(whole.unet, base=sizes.classifier_width))

    def make() -> tuple[NoisyClassifier, dict[str, Any]]:
        settings = ClassifierTraining(steps=sizes.classifier_steps, n_held_out=sizes.classifier_held_out, seed=seed)
        classifier, skill = train_classifier(settings, config, context.images, torch.device("cpu"))
        return classifier, {"skill": skill.tolist()}

    return context.part(f"classifier-seed{seed}", lambda: NoisyClassifier(config), make)


def _heart(weight: float) -> Wish:
    return Wish(name="shape", values=(HEART,), weight=weight, interval=ACTIVE)


class _Guide:
    """Guided samples, always of the same noise, and what the regressor says of them."""

    def __init__(self, context: Context, base: BaseModel, classifier: NoisyClassifier, seed: int) -> None:
        self.context, self.base, self.classifier = context, base, classifier
        self.u = context.noise(context.sizes.guided_samples, NOISE + seed)
        self.columns = context.regressor.config.columns_of

    def __call__(self, wishes: Sequence[Wish], *, robust: bool = False) -> Tensor:
        """The images; `robust` joins the gradients by rules, made anew for each run."""
        times, base = self.base.grid(self.context.sizes.sampling_steps), self.base.composite(None)
        made = []
        for part in self.u.split(CHUNK):
            rules = robust_rules(cap=0.5, smooth=0.9, resolve=True) if robust else []
            denoiser = self.classifier.guide(base, wishes, rules)
            with torch.no_grad():
                made.append(sample(denoiser, part, self.base.schedule, times, sampler="ddim"))
        return torch.cat(made)

    def _read(self, x: Tensor, name: str) -> NDArray[np.float32]:
        return read_images(self.context.regressor, x)[1][:, self.columns(name)]

    def hearts(self, x: Tensor) -> NDArray[np.bool_]:
        """Which images are hearts, (n,)."""
        return self._read(x, "shape").argmax(axis=1) == HEART

    def both(self, x: Tensor) -> float:
        """The share of images that are hearts near the wanted place."""
        return float((self.hearts(x) & (np.abs(self._read(x, "x")[:, 0] - PLACE) < NEAR)).mean())

    def diversity(self, x: Tensor) -> float:
        """The variance of the features over images, summed."""
        return float(read_images(self.context.regressor, x)[0].astype(np.float64).var(axis=0).sum())

    def distance(self, x: Tensor) -> float:
        """Fréchet distance to as many real hearts."""
        return self.context.fd(x, keep=("shape", HEART))
