"""Speaking a whole data set, with all that an evaluation wants to know of each utterance."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from safetensors.numpy import save_file
from tqdm import tqdm

from tts.config import to_dict
from tts.data.files import atomic_path, write_json
from tts.data.manifest import Utterance
from tts.inference.synthesizer import Synthesizer

DECODE = "decode.json"


def decode_set(
    synthesizer: Synthesizer, utterances: Sequence[Utterance], out: Path, *, seed: int = 0, **options: object
) -> None:
    """Write `<id>.wav`, `<id>.safetensors` (mel, source_prior, filter_prior, f0, durations) and `decode.json`.

    Args:
        synthesizer: speaks.
        utterances: with text; a speaker the model knows is spoken in its own voice.
        out: folder, made if missing.
        seed: of the first utterance; the next ones count up.
        options: of `Synthesizer.synthesize`.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i, utterance in enumerate(tqdm(utterances, desc="decode", unit="utt")):
        known = utterance.speaker in synthesizer.speakers
        audio = synthesizer.synthesize(utterance.text, style=utterance.speaker if known else None, seed=seed + i, **options)
        audio.save(out / f"{utterance.id}.wav")
        arrays = {n: getattr(audio, n) for n in ("mel", "source_prior", "filter_prior", "f0", "durations")}
        with atomic_path(out / f"{utterance.id}.safetensors") as temporary:
            save_file(arrays, temporary)
        row = {"id": utterance.id, "text": utterance.text, "speaker": utterance.speaker}
        rows.append(row | {"phones": audio.phones, "duration": audio.duration, "seconds": audio.seconds})
    sampling = {k: v for k, v in options.items() if k in to_dict(synthesizer.loaded.sampling)}
    settings = to_dict(dataclasses.replace(synthesizer.loaded.sampling, **sampling)) | {"seed": seed}
    write_json(out / DECODE, {"vocoder": synthesizer.vocoder.name, "sampling": settings, "utterances": rows})
