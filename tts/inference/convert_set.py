"""Converting the pairs of an evaluation, with all that it wants to know of each."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file
from tqdm import tqdm

from tts.config import to_dict
from tts.data.files import atomic_path, write_json
from tts.data.pairs import Pair
from tts.errors import DataError, GlottisError
from tts.inference.convert_files import find_voices
from tts.inference.converter import VoiceConverter
from tts.inference.decode import DECODE
from tts.inference.results import PRIORS


def convert_set(
    converter: VoiceConverter, pairs: Sequence[Pair], out: Path, *, seed: int = 0, **options: Any
) -> dict[str, str]:
    """Write `<name>.wav`, `<name>.safetensors` (mel, f0, source_prior, filter_prior) and `decode.json` for every pair.

    Args:
        converter: converts.
        pairs: whose words in whose voice.
        out: folder, made if missing.
        seed: of the first pair; the next ones count up.
        options: of `VoiceConverter.convert`.

    Returns:
        what went wrong, by the names of the pairs that failed.

    Raises:
        DataError: if every pair failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    options = find_voices(converter, options)
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for i, pair in enumerate(tqdm(pairs, desc="convert", unit="pair", disable=None)):
        try:
            audio = converter.convert(pair.source, pair.target, seed=seed + i, **options)
        except GlottisError as err:
            failed[pair.name] = str(err)
            continue
        audio.save(out / f"{pair.name}.wav")
        with atomic_path(out / f"{pair.name}.safetensors") as temporary:
            save_file({name: getattr(audio, name) for name in ("mel", *PRIORS, "f0")}, temporary)
        row = {"id": pair.name, "source": str(pair.source), "target": pair.target}
        rows.append(row | {"duration": audio.duration, "seconds": audio.seconds})
    if not rows:
        raise DataError(f"{out}: none of {len(pairs)} pairs could be converted. {next(iter(failed.values()), '')}")
    sampling = {k: v for k, v in options.items() if k in to_dict(converter.loaded.sampling)}
    settings = to_dict(dataclasses.replace(converter.loaded.sampling, **sampling)) | {"seed": seed}
    write_json(out / DECODE, {"vocoder": converter.vocoder.name, "sampling": settings, "utterances": rows})
    return failed
