"""Tables of image models: figures by system, as Markdown."""

from collections.abc import Mapping
from typing import Any

COLUMNS = {
    "factor_vae": "FactorVAE",
    "beta_vae": "BetaVAE",
    "dci_d": "DCI-D",
    "dci_c": "DCI-C",
    "dci_i": "DCI-I",
    "dci_i_colour": "DCI-I, colours",
    "dci_i_rest": "DCI-I, the rest",
    "mig": "MIG",
    "mig_colour": "MIG, colours",
    "mig_rest": "MIG, the rest",
    "sap": "SAP",
    "modularity": "modularity",
    "self_mig": "self-MIG",
    "probe_auroc": "AUROC",
    "tad": "TAD",
    "factor_accuracy": "factor accuracy",
    "active_units": "active",
    "ssim": "SSIM",
    "mse": "MSE",
    "perceptual": "perceptual",
    "ssim_inverted": "SSIM, own x_T",
    "mse_inverted": "MSE, own x_T",
    "perceptual_inverted": "perceptual, own x_T",
    "ssim_base": "SSIM, base alone",
    "ssim_base_inverted": "SSIM, base alone, own x_T",
    "frechet": "Fréchet",
    "frechet_own": "Fréchet, own prior",
    "prior_mmd": "MMD to prior",
    "prior_mean": "mean off prior",
    "prior_std": "std off prior",
    "seconds_per_step": "s/step",
    "cpu_minutes": "CPU min",
    "parameters": "parameters",
}
WHOLE = ("active_units", "parameters")
FINE = ("mse", "perceptual", "prior_mmd")  # figures of four decimals


def image_table(systems: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table: a row a system, a column for every figure of `COLUMNS` that one of them has."""
    used = [key for key in COLUMNS if any(key in figures for figures in systems.values())]
    lines = ["| " + " | ".join(["system", *(COLUMNS[key] for key in used)]) + " |", "|---" * (len(used) + 1) + "|"]
    for name, figures in systems.items():
        lines.append("| " + " | ".join([name, *(_cell(key, figures.get(key)) for key in used)]) + " |")
    return "\n".join(lines) + "\n"


def _cell(key: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if key in WHOLE:
        return f"{value:,.0f}"
    return f"{value:.4f}" if key.startswith(FINE) else f"{value:.3f}"
