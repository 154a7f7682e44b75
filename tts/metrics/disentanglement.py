"""All scores of a representation with known factors, with what a reader must know to compare them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tts.metrics.code_table import CodeTable
from tts.metrics.codes import active_units, standardise
from tts.metrics.dci import DciScore, dci
from tts.metrics.learners import Trees
from tts.metrics.mutual_information import MigScore, ModularityScore, SelfMigScore, mig, modularity, self_mig
from tts.metrics.partition import Partition, Split, partition
from tts.metrics.separation import LatentQuality, SapScore, latent_quality, sap
from tts.metrics.votes import VoteScore, VoteSettings, beta_vae_score, factor_vae_score


@dataclass(frozen=True)
class DisentanglementReport:
    """Every score of one representation, and the protocol: figures of two protocols are not comparable.

    n codes of `units` units, standardised; `active` of them have at least 5 % of the largest of the standard deviations `std`
    that they had before; `pca` says whether units of several numbers were reduced to one. Rows are parted by `split` with
    `seed`; `sizes` are those of the factors. Baselines to print beside it: a random encoder and `pca_codes`.
    """

    factor_vae: VoteScore
    beta_vae: VoteScore
    dci: DciScore
    mig: MigScore
    sap: SapScore
    modularity: ModularityScore
    self_mig: SelfMigScore
    probe: LatentQuality
    n: int
    units: int
    active: int
    std: tuple[float, ...]
    pca: bool
    split: Split
    sizes: tuple[int, ...]
    seed: int

    def figures(self) -> dict[str, float]:
        """The scores by name, for a table; disentanglement, completeness and informativeness stand together."""
        return {
            "factor_vae": self.factor_vae.value,
            "beta_vae": self.beta_vae.value,
            "dci_d": self.dci.disentanglement,
            "dci_c": self.dci.completeness,
            "dci_i": self.dci.informativeness,
            "mig": self.mig.value,
            "sap": self.sap.value,
            "modularity": self.modularity.value,
            "self_mig": self.self_mig.mean,
            "probe_auroc": self.probe.auroc,
            "probe_accuracy": self.probe.accuracy,
        }

    def protocol(self) -> str:
        """One line that says under which conditions the figures hold."""
        reduced = "each unit reduced by PCA" if self.pca else "no PCA"
        return f"{self.units} units ({self.active} active), {reduced}; {self.conditions()}"

    def conditions(self) -> str:
        """That part of the protocol which every code of the same images shares."""
        return (
            f"{self.n} codes, standardised; {self.split.value} split, {self.dci.n_train} rows fitted and {self.dci.n_test} "
            f"scored; {self.dci.trees.value} trees"
        )


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n - 1) of a score over n seeds."""

    mean: float
    std: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.std:.3f}"


def disentanglement_report(
    codes: NDArray[Any],
    factors: NDArray[Any],
    sizes: Sequence[int],
    parts: Partition | None = None,
    *,
    trees: Trees = Trees.EXACT,
    seed: int = 0,
) -> DisentanglementReport:
    """FactorVAE, BetaVAE, DCI, MIG, SAP, modularity, self-MIG and linear probes of one representation.

    Scores that fit something fit it on `parts.train` and are read on `parts.test`; MIG, modularity and self-MIG read
    `parts.unfitted`. FactorVAE and BetaVAE draw from all codes for both under `iid`, as published.

    Args:
        codes: (n, N) or (n, N, d), made once by an encoder in eval mode; of every combination or of a sample.
        factors: integers (n, K), from 0 to size - 1, K at least 2.
        sizes: the number of values of each factor, (K,).
        parts: rows to fit on and to score on; by default 10,000 and 5,000 at random.
        trees: of DCI: exact (published; minutes) or histogram (seconds; not to be compared with the former).
        seed: of everything drawn; the global RNG is untouched.

    Raises:
        ValueError: if shapes do not fit or a factor is out of its range.
        DataError: for codes that are not finite, a factor of one value, or too few rows.
        ImportError: if scikit-learn is not installed (extra `eval`).
    """
    table = CodeTable(codes, factors, tuple(sizes))
    units = standardise(codes)
    parts = partition(factors, seed=seed) if parts is None else parts
    drawn = None if parts.split is Split.IID else parts
    settings = VoteSettings(seed=seed)
    rows = parts.unfitted
    return DisentanglementReport(
        factor_vae=factor_vae_score(table, drawn, settings=settings),
        beta_vae=beta_vae_score(table, drawn, settings=settings),
        dci=dci(codes, factors, parts, trees=trees, seed=seed),
        mig=mig(codes[rows], factors[rows]),
        sap=sap(codes, factors, parts, seed=seed),
        modularity=modularity(codes[rows], factors[rows]),
        self_mig=self_mig(codes[rows], seed=seed),
        probe=latent_quality(codes, factors, parts, seed=seed),
        n=len(codes),
        units=codes.shape[1],
        active=active_units(codes),
        std=tuple(units.std.tolist()),
        pca=units.pca,
        split=parts.split,
        sizes=tuple(sizes),
        seed=seed,
    )


def across_seeds(reports: Sequence[DisentanglementReport]) -> dict[str, Spread]:
    """Mean and standard deviation of every figure over models trained with several seeds.

    Raises:
        ValueError: for fewer than three reports, or reports of different protocols.
    """
    if len(reports) < 3:
        raise ValueError(f"a spread takes at least 3 seeds, found {len(reports)} report(s).")
    protocols = {(r.units, r.pca, r.split, r.dci.trees, r.dci.n_train, r.dci.n_test, r.sizes) for r in reports}
    if len(protocols) > 1:
        raise ValueError(f"reports of different protocols cannot be averaged: {sorted({r.protocol() for r in reports})}.")
    table = [report.figures() for report in reports]
    columns = {name: np.array([row[name] for row in table]) for name in table[0]}
    return {name: Spread(float(v.mean()), float(v.std(ddof=1)), len(v)) for name, v in columns.items()}
