"""Supervised Guided-VAE: units of a code that know a label each, which no other unit knows."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.errors import DataError
from tts.image.vae import Vae
from tts.image.vae_config import GuidedVaeConfig
from tts.image.vae_nets import Perceptron, call_frozen, parameters
from tts.image.vae_terms import sample_posterior

_CLASSIFIER_LAYERS = 2


class GuidedVae(Vae):
    """Unit i is to tell attribute i, and the other units together are not to.

        phase main         reconstruction + KL + w sum_i CE(classifier_i(z_i), y_i): excitation; encoder, decoder, classifiers
        phase adversary    sum_i CE(adversary_i(z without z_i), y_i): the adversaries alone, the codes given
        phase inhibition   w sum_i CE(adversary_i(z without z_i), uniform): the encoder alone, the adversaries given

    For two classes CE is the binary cross-entropy of the paper and uniform its target 1/2. Here an attribute may have more
    classes, there may be several attributes, and the classifiers have no batch norm.

    Source: Ding et al. 2020, "Guided Variational Autoencoder for Disentanglement Learning".
    """

    config: GuidedVaeConfig
    phases = ("main", "adversary", "inhibition")

    def __init__(self, config: GuidedVaeConfig) -> None:
        super().__init__(config)
        width, others = config.classifier_width, config.n_units - 1
        self.classifiers = nn.ModuleList(Perceptron(1, width, _CLASSIFIER_LAYERS, n) for n in config.classes)
        self.adversaries = nn.ModuleList(Perceptron(others, width, _CLASSIFIER_LAYERS, n) for n in config.classes)

    def parameters_of(self, phase: str) -> list[nn.Parameter]:
        """See `RepresentationModel.parameters_of`."""
        self.check_phase(phase)
        moved = {
            "main": (self.encoder, self.decoder, self.classifiers),
            "adversary": (self.adversaries,),
            "inhibition": (self.encoder,),
        }
        return parameters(moved[phase])

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """The terms of the phase; see `RepresentationModel.losses`.

        Raises:
            DataError: if there are no labels, too few columns of them, or values outside the classes.
        """
        self.check_phase(phase)
        y = self._attributes(labels)
        mean, log_variance = self.posterior(x)
        z = sample_posterior(mean, log_variance, generator)
        others = [torch.cat((z[:, :i], z[:, i + 1 :]), dim=1) for i in range(len(self.config.attributes))]
        weight = self.config.weight
        if phase == "adversary":
            logits = [adversary(rest.detach()) for adversary, rest in zip(self.adversaries, others, strict=True)]
            return {"adversary": _sum_cross_entropy(logits, y)}
        if phase == "inhibition":
            logits = [call_frozen(adversary, rest) for adversary, rest in zip(self.adversaries, others, strict=True)]
            uniform = [torch.full_like(each, 1 / each.shape[1]) for each in logits]
            return {"inhibition": weight * _sum_cross_entropy(logits, uniform)}
        logits = [classifier(z[:, i : i + 1]) for i, classifier in enumerate(self.classifiers)]
        return {
            "reconstruction": self.reconstruction(x, z),
            "kl": self.kl(mean, log_variance),
            "excitation": weight * _sum_cross_entropy(logits, y),
        }

    def _attributes(self, labels: Tensor | None) -> list[Tensor]:
        """The label column of each attribute, (B,)."""
        if labels is None:
            raise DataError(
                "a supervised Guided-VAE needs labels, this set of images has none. Use a set with factors or attributes."
            )
        columns, classes = self.config.attributes, self.config.classes
        if labels.shape[1] <= max(columns):
            raise DataError(
                f"labels have {labels.shape[1]} columns, model.attributes asks for column {max(columns)}. Choose columns below "
                f"{labels.shape[1]}."
            )
        chosen = [labels[:, column] for column in columns]
        for column, n, y in zip(columns, classes, chosen, strict=True):
            low, high = int(y.min()), int(y.max())
            if low < 0 or high >= n:
                raise DataError(
                    f"label column {column} has values {low} to {high}, model.classes expects 0 to {n - 1}. Give the number of "
                    "its values in model.classes."
                )
        return chosen


def _sum_cross_entropy(logits: list[Tensor], targets: list[Tensor]) -> Tensor:
    """Mean cross-entropy over the batch, summed over attributes; targets are classes (B,) or probabilities (B, K)."""
    return torch.stack([F.cross_entropy(each, target) for each, target in zip(logits, targets, strict=True)]).sum()
