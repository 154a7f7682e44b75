"""The classifiers of scikit-learn that the disentanglement scores fit, with the settings of the published protocol."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAX_ITERATIONS = 1000
_SVM_C = 0.01


class Trees(str, Enum):
    """Gradient-boosted trees on exact splits (published) or on codes in 255 bins (some 30 times faster, other figures)."""

    EXACT = "exact"
    HISTOGRAM = "histogram"


def fit_trees(x: NDArray[np.float64], y: NDArray[np.int64], trees: Trees, seed: int) -> tuple[Any, NDArray[np.float64]]:
    """A classifier of 100 boosting rounds, depth 3, learning rate 0.1, and the importance of each column of x, (N,), sum 1.

    The importance is the share of the columns in what their splits gain: averaged over trees that count alike (`exact`, as
    scikit-learn gives it) or summed over all splits (`histogram`). All 0 where no tree splits.

    Raises:
        ImportError: if scikit-learn is not installed (extra `eval`).
    """
    with _needs_sklearn():
        from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    if trees is Trees.EXACT:
        exact = GradientBoostingClassifier(random_state=seed).fit(x, y)
        return exact, np.abs(exact.feature_importances_)
    binned = HistGradientBoostingClassifier(max_depth=3, max_leaf_nodes=None, early_stopping=False, random_state=seed).fit(x, y)
    gains = np.zeros(x.shape[1])
    for tree in (tree for iteration in binned._predictors for tree in iteration):  # the public API tells no importance
        splits = tree.nodes[tree.nodes["is_leaf"] == 0]
        np.add.at(gains, splits["feature_idx"], splits["gain"])
    return binned, gains / max(gains.sum(), np.finfo(np.float64).tiny)


def fit_logistic(x: NDArray[np.float64], y: NDArray[np.int64]) -> Any:
    """Multinomial logistic regression with an L2 penalty of weight 1.

    Raises:
        ImportError: if scikit-learn is not installed (extra `eval`).
    """
    with _needs_sklearn():
        from sklearn.linear_model import LogisticRegression
    return LogisticRegression(max_iter=_MAX_ITERATIONS).fit(x, y)


def fit_svm(x: NDArray[np.float64], y: NDArray[np.int64]) -> Any:
    """Linear support vector machine, one class against the rest, C = 0.01, classes weighted equally; solved in the primal.

    Raises:
        ImportError: if scikit-learn is not installed (extra `eval`).
    """
    with _needs_sklearn():
        from sklearn.svm import LinearSVC
    return LinearSVC(C=_SVM_C, class_weight="balanced", dual=False).fit(x, y)


def cluster(x: NDArray[np.float64], n: int, seed: int) -> NDArray[np.int64]:
    """The nearest of n centres of k-means for each row, (rows,); as many as there are distinct rows, if those are fewer.

    Raises:
        ImportError: if scikit-learn is not installed (extra `eval`).
    """
    with _needs_sklearn():
        from sklearn.cluster import KMeans
    distinct = len(np.unique(x, axis=0))
    return KMeans(min(n, distinct), n_init=1, random_state=seed).fit_predict(x).astype(np.int64)


@contextmanager
def _needs_sklearn() -> Iterator[None]:
    try:
        yield
    except ImportError as err:
        raise ImportError(f"this score needs scikit-learn ({err}): pip install 'glottis[eval]'.") from err
