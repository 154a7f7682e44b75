"""Training of a change of h: one step of the optimizer at every time of the edit, along edited and unedited trajectories."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from tqdm import tqdm

from tts.config import check_ranges
from tts.diffusion import Schedule, expand_like, invert, sample
from tts.diffusion.samplers import times_like
from tts.errors import ConfigError, DataError, ModelError
from tts.image.directional import EditLossConfig, ImageEncoder, directional_loss, edit_loss
from tts.image.edit_steps import Attribute, EditSteps, HEdit
from tts.image.h_space import h_space
from tts.image.model import DiffusionModelBase
from tts.nets.image_taps import MIDDLE


@dataclass(frozen=True, kw_only=True)
class AsyrpTraining:
    """How a change of h is trained; a run is minutes and begins anew when it was stopped."""

    steps: int = 40  # of the uniform grid from t = 1 to 0; the edit's strength is in units of it
    t_edit: float = 0.5  # the edit is trained from t = 1 down to here
    tap: str = MIDDLE  # where h is taken; see tts.nets.image_taps
    epochs: int = 1
    batch_size: int = 8
    lr: float = 1e-3
    grad_clip: float = 1.0  # norm of the gradient at most: where nothing has moved yet the directional loss is very steep
    loss: EditLossConfig = field(default_factory=EditLossConfig)

    def __post_init__(self) -> None:
        check_ranges(self, "asyrp", "steps", 1, 1000)
        check_ranges(self, "asyrp", "t_edit", 0, 1)
        check_ranges(self, "asyrp", "epochs batch_size", 1, 1e6)
        check_ranges(self, "asyrp", "lr grad_clip", 1e-9, 1e6)


@dataclass(frozen=True, eq=False, kw_only=True)
class EditLatents:
    """What an edit is trained on.

    u: states at t = 1, (M, ...): inverted images, or drawn.
    direction: in the encoder's features, (F,), or (M, F) where pairs show each its own.
    z: codes, (M, N, d), of a model that has them.
    wanted: changes of the data that pairs show, after less before, (M, ...); None where there are no pairs.
    """

    u: Tensor
    direction: Tensor
    z: Tensor | None = None
    wanted: Tensor | None = None

    def __post_init__(self) -> None:
        per_image = [self.z, self.wanted, self.direction if self.direction.ndim == 2 else None]
        counts = {len(self.u), *(len(value) for value in per_image if value is not None)}
        if len(counts) != 1 or 0 in counts:
            raise DataError(f"edit latents: need one row of everything for each of at least one state, found {sorted(counts)}.")

    def rows(self, chosen: Tensor) -> "EditLatents":
        """Those of the chosen rows, (n,) int64."""
        z, wanted = (None if value is None else value[chosen] for value in (self.z, self.wanted))
        direction = self.direction[chosen] if self.direction.ndim == 2 else self.direction
        return EditLatents(u=self.u[chosen], direction=direction, z=z, wanted=wanted)


@torch.no_grad()
def invert_images(
    model: DiffusionModelBase, images: Tensor, z: Tensor | None, *, steps: int = 40, fixed_point_iterations: int = 2
) -> Tensor:
    """The states at t = 1 (M, ...) from which `ddim` in so many uniform steps leads back to images (M, C, H, W)."""
    times = model.grid(steps)
    return invert(h_space(model, z).composite, model.state(images), model.schedule, times, fixed_point_iterations)


def train_delta(
    config: AsyrpTraining,
    model: DiffusionModelBase,
    delta: nn.Module,
    latents: EditLatents,
    encoder: ImageEncoder,
    generator: torch.Generator,
) -> float:
    """Train a `DeltaBlock` or a `FixedDelta` in place; the mean loss of the last epoch. The model is only read.

        w_dir g(1 - cos(E(P_edit) - E(P), direction)) + w_rec mean |P_edit - P - wanted|

    P is x0_hat along the unedited trajectory, P_edit along the asymmetrically edited one from the same state. Both go on by
    `ddim` after every step of the optimizer; gradients pass the decoder half of one step only.

    Args:
        config: see `AsyrpTraining`.
        model: frozen; whatever `h_space` takes.
        delta: (Encoded, t (B,)) -> change of h.
        latents: states, and what is wanted of them.
        encoder: E, of images in [-1, 1].
        generator: of the order of the states, on the CPU.

    Raises:
        ConfigError: if no step begins at t_edit or above.
        ModelError: if the model has no h-space, or the training diverges.

    Source: Kwon et al. 2023 (Asyrp), algorithm 1; every image of a batch with its own source and gate.
    """
    times = model.grid(config.steps)
    n_edited = int((times[:-1] >= config.t_edit).sum())
    if n_edited == 0:
        raise ConfigError(f"asyrp.t_edit: no step begins at {config.t_edit} or above, found {times[0].item()} the first.")
    optimizer = torch.optim.AdamW(delta.parameters(), config.lr, weight_decay=0.0)
    losses: list[float] = []
    batches = -(-len(latents.u) // config.batch_size)
    with tqdm(total=config.epochs * batches * n_edited, desc="asyrp", unit="step", disable=None) as bar:
        for _ in range(config.epochs):
            losses = []
            for rows in torch.randperm(len(latents.u), generator=generator).split(config.batch_size):
                losses += _train_batch(config, model, delta, latents.rows(rows), encoder, optimizer, times[: n_edited + 1])
                bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
                bar.update(n_edited)
    mean = sum(losses) / len(losses)
    if not all(torch.isfinite(parameter).all() for parameter in delta.parameters()) or mean != mean:
        raise ModelError("the change of h diverged: a weight or the loss is not finite. Lower lr.")
    return mean


def _train_batch(
    config: AsyrpTraining,
    model: DiffusionModelBase,
    delta: nn.Module,
    latents: EditLatents,
    encoder: ImageEncoder,
    optimizer: torch.optim.Optimizer,
    times: Tensor,
) -> list[float]:
    """The loss at every step of the edit, of one batch."""
    space = h_space(model, latents.z, config.tap)
    steps = EditSteps(space.schedule, times)
    attribute = Attribute(delta=delta, steps=config.steps, t_edit=config.t_edit, tap=config.tap)
    edit = HEdit(space, [attribute], steps)
    edited = plain = latents.u
    losses = []
    for i in range(len(times) - 1):
        t = times_like(edited, times[i].item())
        with torch.no_grad():
            plain_eps, x0 = space.composite(plain, t), space.composite.x0(plain, t)
            eps, own_x0 = space.composite(edited, t), space.composite.x0(edited, t)
        shift = space.x0_change(edited, t, edit.h(edited, t))
        edited_x0 = own_x0 + shift
        directional = directional_loss(encoder, space.pixels(edited_x0), space.pixels(x0), latents.direction)
        loss = edit_loss(config.loss, directional, edited_x0 - x0, latents.wanted).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(delta.parameters(), config.grad_clip)
        optimizer.step()
        losses.append(loss.item())
        # eps' = eps + gain (eps_edited - eps),  eps_edited - eps = -(alpha / sigma) (x0_edited - x0)
        ratio = expand_like(space.schedule.alpha(t) / space.schedule.sigma(t), shift).to(shift)
        asymmetric = eps - steps.gains[i].item() * ratio * shift.detach()
        edited, plain = (
            _go_on(noise, u, space.schedule, times[i : i + 2]) for noise, u in ((asymmetric, edited), (plain_eps, plain))
        )
    return losses


def _go_on(eps: Tensor, u: Tensor, schedule: Schedule, step: Tensor) -> Tensor:
    """The end of one `ddim` step with a noise that is known."""
    return sample(lambda *_: eps, u, schedule, step, sampler="ddim")
