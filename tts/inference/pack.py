"""Packing a model for others: the folder with its card, and a zip of it."""

from pathlib import Path

from tts.data.content_file import ContentKind
from tts.inference.model_folder import LoadedModel, load_model_folder, save_model_folder
from tts.inference.whole_folder import zip_folder
from tts.speech.model import parameter_counts

CARD_TEMPLATE = """# {name}

Source-filter diffusion speech synthesis, made with Glottis.

| | |
|---|---|
| kind | {kind} |
| parameters | {parameters:,} |
| mel | {rate} Hz, {n_mels} bands, hop {hop} (fingerprint {fingerprint}) |
| front end | {frontend} |
| speakers | {speakers} |
| sampling it was shipped with | {sampling} |

## Data and licence

{data}

## Use

    glottis synthesize --model {name} --text "Hello." --out hello.wav

Meant for research and for voices whose speakers agreed. Do not use it to pass for a person.

{results}"""


def pack_model(source: Path, out: Path, *, data: str, results: str = "") -> Path:
    """Copy a model folder to `out` with a full card, and write `out`.zip beside it; the path of the zip.

    Raises:
        ModelError: if `source` is no whole model folder, or `out` holds something else.
    """
    loaded = load_model_folder(source)
    save_model_folder(out, loaded, model_card(out.name, loaded, data, results))
    return zip_folder(out)


def model_card(name: str, loaded: LoadedModel, data: str, results: str) -> str:
    """The card of a model, in Markdown."""
    config, audio = loaded.model.config, loaded.model.config.audio
    sampling = loaded.sampling
    return CARD_TEMPLATE.format(
        name=name,
        kind="text to speech" if config.content.kind is ContentKind.none else "text to speech and voice conversion",
        parameters=parameter_counts(loaded.model)["total"],
        rate=audio.sample_rate,
        n_mels=audio.n_mels,
        hop=audio.hop_length,
        fingerprint=audio.fingerprint(),
        frontend=config.frontend,
        speakers=", ".join(sorted(loaded.speakers)),
        sampling=f"{sampling.sampler}, {sampling.steps} steps, {sampling.grid} grid, temperature {sampling.temperature}",
        data=data or "Not stated.",
        results=results and f"## Results\n\n{results}\n",
    )
