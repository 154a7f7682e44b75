"""TAD and ATTRS: which binary attributes single units detect, of images without known factors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.metrics.codes import standardise
from tts.metrics.mutual_information import mutual_information
from tts.metrics.separation import auroc

_LEAST_AUROC = 0.75
_MOST_SHARED = 0.2
_GRID_RANGE = 0.2


@dataclass(frozen=True)
class TadScore:
    """Total AUROC difference over the `captured` attributes, their number `attrs`, and which they are.

    `best` is the AUROC of the best unit for every attribute, `gaps` how far it is ahead of the next; 0.5 and 0 for a constant
    one. Figures of the exact AUROC (`grid` None) and of a grid are not comparable.
    """

    tad: float
    attrs: int
    captured: tuple[int, ...]
    best: tuple[float, ...]
    gaps: tuple[float, ...]
    grid: float | None
    n: int


def tad(codes: NDArray[Any], attributes: NDArray[Any], *, grid: float | None = None) -> TadScore:
    """Total AUROC difference: how far the best single detector of an attribute is ahead of the next unit, summed.

        TAD = Σ_i ( A_i(1) − A_i(2) )     over attributes with A_i(1) ≥ 0.75 and max_{j≠i} I(a_i; a_j) / H(a_i) ≤ 0.2

    A_id is the AUROC of unit d for attribute i, the larger of both signs; the second condition leaves out what another
    attribute tells already.

    Args:
        codes: (n, N) or (n, N, d); units of several numbers are reduced to one each.
        attributes: (n, K) of 0 and 1, or bool.
        grid: None for the exact AUROC; 0.1 for thresholds at every tenth of a unit's range, as DisDiff and EncDiff have it, on
            codes as they are (a range of 0.2 or less counts as chance): for comparison only, it errs.

    Raises:
        ValueError: as `standardise`, or if attributes are not (n, K) of 0 and 1, or the grid is not within (0, 1).
        DataError: for codes that are not finite.

    Source: Yeats et al. 2022 (NashAE); Wang et al. 2023 (InfoDiffusion) for the exact AUROC.
    """
    if attributes.ndim != 2 or len(attributes) != len(codes) or not np.isin(attributes, (0, 1)).all():
        raise ValueError(f"attributes are ({len(codes)}, K) of 0 and 1, found {attributes.shape} of {attributes.dtype}.")
    if grid is not None and not 0 < grid < 1:
        raise ValueError(f"the grid lies within 0 and 1, found {grid}.")
    units, labels = standardise(codes), attributes.astype(np.int64)
    areas = np.stack([_areas(units.values, units.std, column.astype(bool), grid) for column in labels.T])
    ranked = np.sort(areas, axis=1)
    best, gaps = ranked[:, -1], ranked[:, -1] - ranked[:, -2]
    information = mutual_information(labels, labels)
    entropies = np.diag(information).copy()
    np.fill_diagonal(information, 0.0)
    shared = information.max(axis=1) / np.where(entropies > 0, entropies, 1.0)
    captured = np.flatnonzero((best >= _LEAST_AUROC) & (shared <= _MOST_SHARED))
    return TadScore(
        tad=float(gaps[captured].sum()),
        attrs=len(captured),
        captured=tuple(captured.tolist()),
        best=tuple(best.tolist()),
        gaps=tuple(gaps.tolist()),
        grid=grid,
        n=len(codes),
    )


def _areas(
    values: NDArray[np.float64], std: NDArray[np.float64], positive: NDArray[np.bool_], grid: float | None
) -> NDArray[np.float64]:
    """The AUROC of every unit for one attribute, the larger of both signs, (N,)."""
    if positive.all() or not positive.any():
        return np.full(values.shape[1], 0.5)
    if grid is None:
        area = auroc(values, positive)
        return np.maximum(area, 1 - area)
    least, largest = values.min(axis=0), values.max(axis=0)
    steps = np.arange(0.0, 1.0001, grid)[:, None]
    above = values[:, None] >= least + steps * (largest - least)  # (n, thresholds, N)
    hits, alarms = above[positive].mean(axis=0), above[~positive].mean(axis=0)  # falling with the threshold
    up = (hits[:-1] * (alarms[:-1] - alarms[1:])).sum(axis=0)
    down = ((1 - hits[1:]) * (alarms[:-1] - alarms[1:])).sum(axis=0)
    return np.where((largest - least) * std > _GRID_RANGE, np.maximum(up, down), 0.5)
