"""Images guided by what a classifier says of noisy ones, or drawn by a model that is told labels."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from tts.diffusion import Composite, Schedule
from tts.diffusion.samplers import Denoiser, Hook
from tts.errors import ModelError
from tts.image.frozen_path import Once
from tts.image.guidance.asymmetric import Apply, asymmetric
from tts.image.guidance.classifier import HeadKind, NoisyClassifier
from tts.image.guidance.guide import guided, through_x0
from tts.image.guidance.rules import LogProbs, robust_rules
from tts.image.guidance.wishes import Wish
from tts.image.labelled import UNKNOWN, LabelledModel
from tts.inference.image_coder import ImageCoder
from tts.inference.image_diffusion import ImageSampling
from tts.inference.image_runner import Images

logger = logging.getLogger(__name__)

TOLERANCE = 0.02  # a pixel is beyond [-1, 1] from here on, 2.5 of 255
ANY_VALUE = 1.0  # of a head of kind `value` that is kept: its gradient has the same direction whatever is wished


@dataclass(frozen=True, eq=False, kw_only=True)
class Guidance:
    """What is asked of images, by whom it is judged, and how the gradients of several wishes become one.

    wishes: each with its weight, temperature and interval of time.
    keep: attributes of the classifier that the guidance must leave as they are, to first order.
    cap: longest gradient in units of the model's own score; None is no cap.
    smooth: decay of a moving average of the gradients over the steps; 0 is none.
    resolve: take from each gradient what works against another.
    through_x0: judge the predicted image instead of the noisy one; costs about three more passes a step.
    apply: to both parts of a step, or to its predicted x0 alone, which is stronger and of `ddim`.
    """

    classifier: NoisyClassifier
    wishes: tuple[Wish, ...]
    keep: tuple[str, ...] = ()
    cap: float | None = None
    smooth: float = 0.0
    resolve: bool = False
    through_x0: bool = False
    apply: Apply = Apply.both

    def denoiser(self, base: Denoiser, schedule: Schedule) -> Composite:
        """`base` drawn to what is asked, for one run of a sampler: averages over steps begin anew."""
        log_probs = self._judge(self.wishes, base, schedule)
        keep = self._judge(self._kept(), base, schedule) if self.keep else None
        rules = robust_rules(cap=self.cap, smooth=self.smooth, keep=keep, resolve=self.resolve)
        weights, intervals = [wish.weight for wish in self.wishes], [wish.interval for wish in self.wishes]
        return guided(base, schedule, log_probs, weights, intervals=intervals, rules=rules)

    def steered(self, base: Denoiser, schedule: Schedule, times: Tensor, hook: Hook | None) -> tuple[Denoiser, Hook | None]:
        """What one run on these times samples, and the hook it takes, for a base that is sampled with `hook`."""
        if self.apply is Apply.both:
            return self.denoiser(base, schedule), hook
        shared = Once(base, trained=False)
        return shared, asymmetric(shared, self.denoiser(shared, schedule), schedule, times, hook)

    def _judge(self, wishes: tuple[Wish, ...], base: Denoiser, schedule: Schedule) -> LogProbs:
        if not self.through_x0:
            return partial(self.classifier.log_probs, wishes=wishes)
        earliest = self.classifier.config.diffusion.t_min

        def clean(x0: Tensor) -> Tensor:
            return self.classifier.log_probs(x0, x0.new_full((len(x0),), earliest), wishes)

        return through_x0(clean, base, schedule)

    def _kept(self) -> tuple[Wish, ...]:
        """A wish for every value of what is kept, whose gradients span all that would change it."""
        found: list[Wish] = []
        for name in self.keep:
            head = self.classifier.config.heads[self.classifier.index(name)]
            values = (ANY_VALUE,) if head.kind is HeadKind.value else tuple(float(v) for v in range(head.size))
            found += [Wish(name=name, values=(value,)) for value in values]
        return tuple(found)


class Saturation:
    """The share of predicted pixels beyond [-1, 1], counted over the steps of runs: clipping hides there what is too strong."""

    def __init__(self) -> None:
        self.outside, self.seen = 0, 0

    def counted(self, hook: Hook | None) -> Hook:
        """A hook that counts, then does what `hook` does."""

        def count(step: int, t: float, x0: Tensor) -> Tensor | None:
            self.outside += int((x0.detach().abs() > 1 + TOLERANCE).sum())
            self.seen += x0.numel()
            return None if hook is None else hook(step, t, x0)

        return count

    @property
    def share(self) -> float:
        """Of all pixels seen; 0 before any."""
        return self.outside / max(1, self.seen)


class GuidedSampler(ImageCoder):
    """An image model on a device that draws what is asked for; see `ImageCoder`."""

    def guide(
        self,
        n: int,
        guidance: Guidance,
        *,
        noise: ArrayLike | None = None,
        codes: ArrayLike | None = None,
        seed: int = 0,
        **options: Any,
    ) -> Images:
        """n images guided by a classifier; without guidance those of `decode` on these codes and noise, or of `sample`.

        What share of the predicted pixels left [-1, 1] on the way is logged.

        Args:
            n: how many.
            guidance: what is asked.
            noise: x_T, (n, …), from `invert` with the same options, which makes it an edit of images; None draws it.
            codes: (n, N, d) of a model that has them; None draws them, used as in `sample`.
            seed: of noise and codes.
            options: fields of `ImageSampling`.

        Raises:
            ModelError: if the classifier does not fit the model.
            ValueError: if a wish is for what the classifier does not know, an option is out of range, or the predicted x0 alone
                is to be guided by another sampler than `ddim`.
        """
        model, classifier = self.diffusion, guidance.classifier.to(self.device)
        classifier.require(model)
        sampler = "ddim" if noise is not None else ImageSampling(**options).sampler
        if guidance.apply is Apply.P and sampler != "ddim":
            raise ValueError(
                f"apply P guides the predicted x0 of a step of ddim, and steps of {sampler} have no such part. "
                "Give --sampler ddim, or leave --apply out."
            )
        for wish in guidance.wishes:
            head = classifier.config.heads[classifier.index(wish.name)]
            wish.check(head.size, head.kind is HeadKind.value)
        z = None
        if self.has_codes:
            z = self._code_tensor(self.sample_codes(n, seed=seed) if codes is None else codes)
            options = self._for_drawn_codes(options) if codes is None else options
        seen = Saturation()

        def guide(base: Denoiser, times: Tensor, hook: Hook | None) -> tuple[Denoiser, Hook | None]:
            return guidance.steered(base, model.schedule, times, seen.counted(hook) if model.diffuses_pixels else hook)

        images = self._render(z, n, noise, options, seed=seed, guide=guide)
        if model.diffuses_pixels:
            logger.info(
                "%.2g %% of predicted pixels were beyond [-1, 1] on the way; more where guidance is strong", 100 * seen.share
            )
        return images

    def sample_labelled(
        self,
        n: int,
        labels: Mapping[str, int],
        *,
        scale: float = 1.0,
        weights: Mapping[str, float] | None = None,
        noise: ArrayLike | None = None,
        seed: int = 0,
        **options: Any,
    ) -> Images:
        """n images of a model of kind `labelled`, given some of its labels, by classifier-free guidance.

        Args:
            n: how many.
            labels: the value of each factor that is told; the others are left open.
            scale: 0 is the conditional model, above it more than that.
            weights: a weight for each label that is told instead, each guiding on its own; see `LabelledModel.composed`.
            noise: x_T, (n, …), from `invert` with the same options; None draws it from the seed.
            seed: of the noise.
            options: fields of `ImageSampling`.

        Raises:
            ModelError: if the model is of another kind.
            ValueError: if there is no such factor, its value is out of range, or a weight is of no label.
        """
        model = self.model
        if not isinstance(model, LabelledModel):
            raise ModelError(
                f"a model of kind {self.config.kind.value} is told no labels. Give a classifier, or a model of kind labelled."
            )
        names = model.config.factor_names
        unknown = sorted({*labels, *(weights or {})} - {*names})
        if unknown or not labels or not {*(weights or {})} <= {*labels}:
            raise ValueError(f"labels must be some of {', '.join(names)}, found {', '.join(unknown) or sorted(labels)}.")
        row = torch.tensor([[labels.get(name, UNKNOWN) for name in names]], device=self.device)
        if weights is None:
            told = model.composite_of(row, scale)
        else:
            told = model.composed(row, [weights.get(name, 0.0) for name in names])
        return self._render(None, n, noise, options, seed=seed, guide=lambda base, times, hook: (told, hook))
