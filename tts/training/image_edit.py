"""One training run of an edit: its times from the measured profile, its change of h, its folder."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from tts.config import check_ranges
from tts.image.datasets import to_model
from tts.image.delta_h import DeltaBlock, DeltaBlockConfig, FixedDelta, FixedDeltaConfig
from tts.image.directional import ImageEncoder
from tts.image.edit_steps import Attribute
from tts.image.edit_times import Profile
from tts.image.h_space import h_space
from tts.inference.edit_folder import EditConfig, model_fingerprint, save_edit
from tts.inference.image_distance import DistanceKind
from tts.inference.image_model import ImageModel
from tts.inference.image_runner import Images
from tts.nets.image_taps import tapped
from tts.nets.image_unet import ImageUNet
from tts.training.asyrp import AsyrpTraining, EditLatents, invert_images, train_delta
from tts.training.edit_gain import gauged_gain
from tts.training.edit_goals import EditGoal

N_PROFILE = 32  # images whose profile is measured
N_GAUGED = 16  # images that the gain is measured on


@dataclass(frozen=True, kw_only=True)
class EditSettings:
    """How an edit is trained.

    name: of the attribute, for its folder.
    asyrp: the run; its t_edit counts where `t_edit` is given.
    t_edit: None takes the measured profile's.
    boost: whether fresh noise mends quality below the time that the profile tells.
    everywhere: train one change of h for all images and times, not a network of h.
    """

    name: str
    asyrp: AsyrpTraining = field(default_factory=AsyrpTraining)
    t_edit: float | None = None
    boost: bool = False
    everywhere: bool = False
    distance: DistanceKind = DistanceKind.pixels
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, "edit", "seed", 0, 1e18)
        if self.t_edit is not None:
            check_ranges(self, "edit", "t_edit", 0, 1)


@dataclass(frozen=True, eq=False)
class TrainedEdit:
    """What a run found: the edit's configuration, its loss in the last epoch, and the profile its times are from."""

    config: EditConfig
    loss: float
    profile: Profile


def train_edit(settings: EditSettings, model: ImageModel, goal: EditGoal, encoder: ImageEncoder, out: Path) -> TrainedEdit:
    """Train an edit of h and write its folder; repeatable by its seed.

    Raises:
        ModelError: if the model has no h-space, the training diverges, or `out` holds something else.
        ConfigError: if no step begins at t_edit or above.
        ValueError: if the network has no such tap.
    """
    network, steps, tap = model.diffusion, settings.asyrp.steps, settings.asyrp.tap
    tapped(cast(ImageUNet, network.get_submodule("unet")), tap)  # refused before the inversions, which take minutes
    profile = model.profile(goal.images[:N_PROFILE], steps=steps, distance=settings.distance)
    t_edit = profile.t_edit(goal.cosine) if settings.t_edit is None else settings.t_edit
    codes = model.known_codes(goal.images)
    inverted = model.batches(lambda x, z=None: invert_images(network, x, z, steps=steps), to_model(goal.images), codes)
    u, z = torch.from_numpy(inverted).to(model.device), None if codes is None else codes.to(model.device)
    wanted = None if goal.after is None else _state(model, goal.after) - _state(model, goal.images)
    latents = EditLatents(u=u, direction=goal.direction.to(u.device), z=z, wanted=wanted)
    delta = _new_delta(settings, model, latents)
    generator = torch.Generator().manual_seed(settings.seed)
    loss = train_delta(replace(settings.asyrp, t_edit=t_edit), network, delta, latents, encoder, generator)
    gain = 1.0
    if goal.distance:
        some = latents.rows(torch.arange(min(N_GAUGED, len(u))))
        space, attribute = h_space(network, some.z, tap), Attribute(delta=delta, steps=steps, t_edit=t_edit, tap=tap)
        times = network.grid(steps)
        gain = gauged_gain(space, attribute, some.u, times, encoder, latents.direction, goal.distance)
    config = EditConfig(
        name=settings.name,
        model=model_fingerprint(network),
        steps=steps,
        t_edit=t_edit,
        t_boost=profile.t_boost() if settings.boost else 0.0,
        gain=gain,
        tap=tap,
        block=delta.config if isinstance(delta, DeltaBlock) else None,
        fixed=delta.config if isinstance(delta, FixedDelta) else None,
    )
    save_edit(out, config, delta.cpu())
    return TrainedEdit(config, loss, profile)


def _new_delta(settings: EditSettings, model: ImageModel, latents: EditLatents) -> DeltaBlock | FixedDelta:
    """The change of h before training, of the sizes that the model's h has."""
    u, z = latents.u[:1], None if latents.z is None else latents.z[:1]
    with torch.no_grad():
        encoded = h_space(model.model, z, settings.asyrp.tap).path.encoded(u, u.new_ones(1))
    _, channels, height, width = encoded.h.shape
    if settings.everywhere:
        return FixedDelta(FixedDeltaConfig(channels=channels, height=height, width=width)).to(u.device)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)  # noqa: TID251  initial weights know no generator
        return DeltaBlock(DeltaBlockConfig(channels=channels, time_dim=encoded.time.shape[1])).to(u.device)


def _state(model: ImageModel, images: Images) -> Tensor:
    return torch.from_numpy(model.batches(model.diffusion.state, to_model(images))).to(model.device)
