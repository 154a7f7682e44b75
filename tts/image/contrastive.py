"""A small image-text encoder, trained on generated scenes with sentences about them, as CLIP is on the web's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tts.config import check_ranges
from tts.errors import ConfigError, DataError
from tts.image.config import MAX_WIDTH, Kind, ModelConfig
from tts.image.factors import FactorSpace
from tts.image.model import RepresentationModel
from tts.image.sentences import Sentences
from tts.nets.image_encoder import ImageEncoder
from tts.nets.text_tower import TextTower

FIRST_SCALE = 1 / 0.07  # inverse temperature at the start
MAX_SCALE = 100.0


@dataclass(frozen=True, kw_only=True)
class ContrastiveConfig(ModelConfig):
    """The image-text encoder; the features are n_units scalars. It knows the factors whose values it hears of."""

    kind: Kind = Kind.contrastive
    n_units: int = 64  # length of the features
    encoder_width: int = 32
    text_width: int = 64
    mention: float = 0.5  # probability of each factor to be spoken of in a training sentence
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "model", "encoder_width text_width", 1, MAX_WIDTH)
        check_ranges(self, "model", "mention", 0.01, 1)
        check_ranges(self, "model", "factor_sizes", 1, 1000)
        if len(self.factor_names) != len(self.factor_sizes) or len({*self.factor_names}) != len(self.factor_names):
            raise ConfigError(
                f"model.factor_names: found {self.factor_names} for {len(self.factor_sizes)} sizes, expected a name of its own "
                "for each."
            )
        if self.unit_dim != 1:
            raise ConfigError(f"model.unit_dim: found {self.unit_dim}, expected 1: the features are {self.n_units} scalars.")

    @property
    def sentences(self) -> Sentences:
        """What can be said of the scenes."""
        return Sentences(FactorSpace(self.factor_names, self.factor_sizes))


class ContrastiveModel(RepresentationModel):
    """Two towers whose vectors are alike where the sentence is true of the image.

        similarity_ij = scale <image_i / |image_i|, text_j / |text_j|>      loss: `info_nce`

    Source: Radford et al. 2021 (CLIP).
    """

    config: ContrastiveConfig

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__(config)
        self.sentences = config.sentences
        self.ids = {word: i + 1 for i, word in enumerate(self.sentences.vocabulary())}
        self.images = ImageEncoder(config.channels, config.encoder_width, config.size, config.n_units)
        self.texts = TextTower(len(self.ids), config.text_width, config.n_units)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    @property
    def scale(self) -> Tensor:
        """The inverse temperature, at most 100."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    def encode(self, x: Tensor) -> Tensor:
        """The features of the images as scalar units, (B, D, 1), of length 1."""
        return F.normalize(self.images(x), dim=1)[:, :, None]

    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """The features of sentences, (n, D), of length 1.

        Raises:
            ValueError: if there is no sentence, or one has no word or one that was never heard.
        """
        rows = [sentence.split() for sentence in sentences]
        unknown = sorted({word for row in rows for word in row if word not in self.ids})
        if unknown or not rows or not all(rows):
            raise ValueError(
                f"sentences need words of the vocabulary; unknown: {', '.join(unknown) or 'none'}, found {rows[:3]}."
            )
        ids = [torch.tensor([self.ids[word] for word in row]) for row in rows]
        return F.normalize(self.texts(nn.utils.rnn.pad_sequence(ids, batch_first=True).to(self.log_scale.device)), dim=1)

    def losses(self, x: Tensor, labels: Tensor | None, generator: torch.Generator, *, phase: str = "main") -> dict[str, Tensor]:
        """See RepresentationModel: `contrastive`, of one new sentence about each image.

        Raises:
            DataError: without the factors of the images.
        """
        self.check_phase(phase)
        if labels is None or labels.shape[1] != len(self.config.factor_sizes):
            found = "none" if labels is None else f"{labels.shape[1]}"
            raise DataError(f"sentences need the {len(self.config.factor_sizes)} factors of each image, found {found}.")
        factors = labels.cpu().numpy()
        draws = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
        said = [self.sentences.sentence(row, draws, mention=self.config.mention) for row in factors]
        true = self.sentences.true_of(np.stack([self.sentences.parse(sentence) for sentence in said]), factors)
        seen, told = self.encode(x).flatten(1).float(), self.encode_text(said).float()
        with torch.autocast(x.device.type, enabled=False):
            return {"contrastive": info_nce(self.scale * seen @ told.T, torch.from_numpy(true).to(x.device))}

    @torch.no_grad()
    def phrases(self) -> list[Tensor]:
        """For each factor the features of its values' phrases, (K_c, D), of length 1: what a bank of texts is filled with."""
        sizes = enumerate(self.config.factor_sizes)
        return [self.encode_text([self.sentences.phrase(k, v) for v in range(size)]) for k, size in sizes]


def info_nce(similarity: Tensor, true: Tensor) -> Tensor:
    """The symmetric contrastive loss of n images and n sentences, where a sentence may be true of several images.

        loss = -1/2 mean_i log sum_j true_ij p_ij - 1/2 mean_j log sum_i true_ij q_ij ,   p = softmax_j, q = softmax_i

    With one true sentence for each image it is CLIP's; ln n for equal similarities, 0 for perfect alignment at temperature 0.

    Args:
        similarity: scaled, (n, n), rows are images.
        true: bool (n, n), at least one in each row and column.

    Raises:
        ValueError: if a row or column has none.

    Source: van den Oord et al. 2018; Radford et al. 2021; several positives as in Miech et al. 2020 (MIL-NCE).
    """
    if not bool((true.any(0) & true.any(1)).all()):
        raise ValueError("every image needs a sentence that is true of it, and every sentence an image.")
    hits = similarity.masked_fill(~true, -math.inf)
    losses = [similarity.logsumexp(axis) - hits.logsumexp(axis) for axis in (1, 0)]
    return (losses[0].mean() + losses[1].mean()) / 2
