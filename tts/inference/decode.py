"""Speaking a whole data set, with all that an evaluation wants to know of each utterance."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file
from tqdm import tqdm

from tts.config import to_dict
from tts.data.files import atomic_path, some, write_json
from tts.data.manifest import Utterance
from tts.errors import TextError
from tts.inference.synthesizer import Synthesizer

logger = logging.getLogger(__name__)

DECODE = "decode.json"


def decode_set(
    synthesizer: Synthesizer, utterances: Sequence[Utterance], out: Path, *, seed: int = 0, **options: object
) -> None:
    """Write `<id>.wav`, `<id>.safetensors` (mel, source_prior, filter_prior, f0, durations) and `decode.json`.

    Utterances with nothing to speak are left out, with a warning that counts them.

    Args:
        synthesizer: speaks.
        utterances: with text; a speaker the model knows is spoken in its own voice.
        out: folder, made if missing.
        seed: of the first utterance; the next ones count up.
        options: of `Synthesizer.synthesize`.

    Raises:
        TextError: if no utterance has anything to speak.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    silent: list[str] = []
    for i, utterance in enumerate(tqdm(utterances, desc="decode", unit="utt")):
        known = utterance.speaker in synthesizer.speakers
        style = utterance.speaker if known else None
        try:
            audio = synthesizer.synthesize(utterance.text, style=style, seed=seed + i, **options)
        except TextError:
            silent.append(utterance.id)
            continue
        audio.save(out / f"{utterance.id}.wav")
        arrays = {n: getattr(audio, n) for n in ("mel", "source_prior", "filter_prior", "f0", "durations")}
        with atomic_path(out / f"{utterance.id}.safetensors") as temporary:
            save_file(arrays, temporary)
        row = {"id": utterance.id, "text": utterance.text, "speaker": utterance.speaker}
        rows.append(row | {"phones": audio.phones, "duration": audio.duration, "seconds": audio.seconds})
    if not rows:
        raise TextError(f"{out}: none of {len(utterances)} utterances has anything to speak. Give a set with text.")
    if silent:
        logger.warning("%d of %d utterances have nothing to speak: %s", len(silent), len(utterances), some(silent))
    sampling = {k: v for k, v in options.items() if k in to_dict(synthesizer.loaded.sampling)}
    settings = to_dict(dataclasses.replace(synthesizer.loaded.sampling, **sampling)) | {"seed": seed}
    write_json(out / DECODE, {"vocoder": synthesizer.vocoder.name, "sampling": settings, "utterances": rows})
