"""Tables of what beside an image model was trained: a classifier of its noise, homomorphism autoencoders."""

from torch import Tensor

from tts.image.groups.report import HaeReport
from tts.image.groups.trajectories import StepReport
from tts.image.guidance.classifier import ClassifierConfig, HeadKind


def skill_table(config: ClassifierConfig, skill: Tensor) -> str:
    """`skill_by_time` (n_bins, heads) as Markdown: a row for each bin of time, chance in the last."""
    names = [head.name for head in config.heads]
    lines = ["| t | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for b, row in enumerate(skill.tolist()):
        cells = " | ".join(f"{value:.3f}" for value in row)
        lines.append(f"| {b / config.n_bins:.2f} to {(b + 1) / config.n_bins:.2f} | {cells} |")
    chance = [0.0 if head.kind is HeadKind.value else 1 / head.size for head in config.heads]
    lines.append("| chance | " + " | ".join(f"{value:.3f}" for value in chance) + " |")
    return "\n".join(lines) + "\n"


def hae_table(report: HaeReport, loss: float) -> str:
    """The scores of a homomorphism autoencoder of moves as Markdown."""
    lines = ["| score | value |", "|---|---|", f"| validation loss | {loss:.4f} |", f"| D_LSBD | {report.lsbd:.4f} |"]
    if report.rep is not None:
        lines += [
            f"| leakage of blocks | {report.rep.leakage:.4f} |",
            f"| homomorphism error | {report.rep.homomorphism:.4f} |",
        ]
    lines += [f"| relative error of codes after {k} actions | {value:.4f} |" for k, value in report.latent.items()]
    lines += [f"| pixels after {k} actions, nats an image | {value:.2f} |" for k, value in report.pixels.items()]
    lines.append(f"| success by all criteria | {'yes' if report.succeeded else 'no'} |")
    return "\n".join(lines) + "\n"


def steps_table(report: StepReport, loss: float) -> str:
    """The errors of predicted steps of denoising as Markdown, by how many steps."""
    lines = ["| steps | step by step | at once | no move | consistency | pixels |", "|---|---|---|---|---|---|"]
    for k in report.rollout:
        columns = (report.rollout, report.jump, report.still, report.consistency, report.pixels)
        lines.append(f"| {k} | " + " | ".join(f"{column[k]:.4f}" for column in columns) + " |")
    return "\n".join(lines) + f"\n\nValidation loss {loss:.4f}.\n"


def blocks_line(sizes: tuple[int, ...]) -> str:
    """The sizes of the blocks that a soft weight led to, as a paragraph of Markdown."""
    return f"\nBlocks found: {' '.join(str(size) for size in sizes)}.\n"
