"""Linear separability: whether a plane in the space of noises or codes divides the images that have an attribute."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.metrics.learners import fit_svm


@dataclass(frozen=True)
class LinearSeparability:
    """`score` = exp of the sum of `entropies`, from 1 (planes tell all) to 2^K; `entropies` in nats, one an attribute, (K,)."""

    score: float
    entropies: tuple[float, ...]
    n: int


def linear_separability(codes: NDArray[Any], attributes: NDArray[Any]) -> LinearSeparability:
    """exp( sum_i H(Y_i | X_i) ), X_i the side of a plane and Y_i the attribute.

    A linear support vector machine is fitted on one half of the images and judged on the other: with codes of many numbers any
    half is separable in itself. The published protocol judges on what was fitted, and drops the half of the images of which
    the attribute's classifier is least sure; leave those out before, if the attributes are from one.

    Args:
        codes: noise or codes of the images, (n, ...).
        attributes: (n, K) of 0 and 1.

    Raises:
        ValueError: if attributes are not (n, K) of 0 and 1, or one is not there with both values in both halves.
        ImportError: if scikit-learn is not installed (extra `eval`).

    Source: Karras et al. 2019 (StyleGAN).
    """
    if attributes.ndim != 2 or len(attributes) != len(codes) or not np.isin(attributes, (0, 1)).all():
        raise ValueError(f"attributes are ({len(codes)}, K) of 0 and 1, found {attributes.shape} of {attributes.dtype}.")
    flat, labels = np.asarray(codes, dtype=np.float64).reshape(len(codes), -1), attributes.astype(np.int64)
    fitted, judged = slice(0, len(flat), 2), slice(1, len(flat), 2)
    for i, column in enumerate(labels.T):
        if any(len(np.unique(column[half])) < 2 for half in (fitted, judged)):
            raise ValueError(f"attribute {i} has one value only in a half of the images. Give more images, or leave it out.")
    entropies = []
    for column in labels.T:
        side = fit_svm(flat[fitted], column[fitted]).predict(flat[judged])
        entropies.append(conditional_entropy(column[judged], side))
    return LinearSeparability(score=float(np.exp(sum(entropies))), entropies=tuple(entropies), n=len(flat))


def conditional_entropy(y: NDArray[np.int64], x: NDArray[np.int64]) -> float:
    """H(Y | X) in nats of two rows of whole numbers of one length: -sum p(x, y) ln p(y | x)."""
    total = 0.0
    for value in np.unique(x):
        counts = np.unique(y[x == value], return_counts=True)[1]
        total -= float((counts * np.log(counts / counts.sum())).sum())
    return total / len(y)
