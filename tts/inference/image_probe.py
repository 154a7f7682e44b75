"""A linear probe on codes: the direction in which a label grows, for editing."""

import numpy as np
from numpy.typing import NDArray

from tts.errors import DataError


def fit_probe(codes: NDArray[np.float32], labels: NDArray[np.int64], value: int, *, seed: int = 0) -> NDArray[np.float32]:
    """The direction (N, d) in normalised codes along which the log-odds of `label == value` grow.

        w of logistic regression, L2 penalty 1, on normalised codes, its classes balanced

    Args:
        codes: normalised codes (n, N, d).
        labels: of one column (n,).
        value: the class to move towards.
        seed: of the solver.

    Raises:
        DataError: if every label, or none, is `value`.

    Source: Preechakul et al. 2022 (Diff-AE), section 5.3.
    """
    from sklearn.linear_model import LogisticRegression

    is_value = labels == value
    if is_value.all() or not is_value.any():
        found = sorted(set(labels.tolist()))[:10]
        raise DataError(f"a probe for value {value} needs images with it and without; found the values {found}. Give another.")
    probe = LogisticRegression(class_weight="balanced", max_iter=1000, random_state=seed)
    probe.fit(codes.reshape(len(codes), -1), is_value)
    return probe.coef_.reshape(codes.shape[1:]).astype(np.float32)
