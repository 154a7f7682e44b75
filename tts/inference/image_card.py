"""The card of an image model."""

from tts.image.model import DiffusionModelBase
from tts.inference.image_folder import LoadedImageModel

CARD_TEMPLATE = """# {name}

An image representation model, made with Glottis.

| | |
|---|---|
| method | {kind} |
| parameters | {parameters:,} |
| images | {channels} x {size} x {size}, values in [-1, 1] |
| code | {units} |
| trained on | {data}{without}, {steps:,} steps, {images:,} images, seed {seed} |

## Data and licence

{licence}

## Use

    glottis image {verb} --model {folder} --data {data} --out grid.png

Meant for research.

{results}"""


def image_card(name: str, loaded: LoadedImageModel, *, folder: str = "DIR", licence: str = "", results: str = "") -> str:
    """The card of a model, in Markdown."""
    config, trained = loaded.model.config, loaded.trained
    without = f", {trained.held_out:.0%} of the images held out" if trained.held_out else ""
    units = f"{config.n_units} units of {config.unit_dim}" if config.n_units else "none"
    if loaded.codes is not None:
        units += f", {int(loaded.codes.active.sum())} active"
    return CARD_TEMPLATE.format(
        name=name,
        kind=config.kind.value,
        parameters=sum(p.numel() for p in loaded.model.parameters()),
        channels=config.channels,
        size=config.size,
        units=units,
        data=trained.data,
        verb="invert" if isinstance(loaded.model, DiffusionModelBase) and not loaded.model.config.n_units else "reconstruct",
        without=without,
        steps=trained.steps,
        images=trained.images,
        seed=trained.seed,
        licence=licence or "Not stated.",
        folder=folder,
        results=results and f"## Results\n\n{results}\n",
    )
