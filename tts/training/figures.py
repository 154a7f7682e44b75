"""One figure an utterance: target, source prior, filter prior, their sum, sample, F0 and alignment."""

from matplotlib.figure import Figure
from torch import Tensor

from tts.data.dataset import Batch
from tts.speech.model import Priors


def utterance_figure(batch: Batch, priors: Priors, sample: Tensor, item: int = 0) -> Figure:
    """Mels of utterance `item` of a batch (normalised log-mel), its F0 in Hz, and its phone boundaries."""
    length, tokens = int(batch.mel_lengths[item]), int(batch.token_lengths[item])
    rows = {
        "target": batch.mel,
        "source prior": priors.mels["source"],
        "filter prior": priors.mels["filter"],
        "source + filter": priors.mean,
        "sample": sample,
    }
    figure = Figure(figsize=(12, 2.2 * (len(rows) + 1)), layout="constrained")
    axes = figure.subplots(len(rows) + 1, 1, sharex=True)
    ends = batch.durations[item, :tokens].cumsum(0).tolist()
    for axis, (name, mel) in zip(axes, rows.items(), strict=False):
        limits = {} if "prior" in name else {"vmin": -3.5, "vmax": 3.5}
        image = axis.imshow(mel[item, :, :length].float().cpu(), origin="lower", aspect="auto", interpolation="none", **limits)
        axis.set_ylabel(name)
        figure.colorbar(image, ax=axis, pad=0.01)
    for end in ends:
        axes[0].axvline(end - 0.5, color="white", linewidth=0.4)
    f0 = batch.f0[item, :length].cpu()
    axes[-1].plot(f0.where(f0 > 0, float("nan")))
    axes[-1].set_ylabel("F0 (Hz)")
    axes[-1].set_xlabel(f"frames of {batch.ids[item]}")
    return figure
