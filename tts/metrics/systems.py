"""What an evaluation compares: decoded sets, the recordings through a vocoder, the recordings."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from tts.audio.io import read_audio, write_audio
from tts.audio.mel import MelExtractor
from tts.audio.pitch import extract_f0
from tts.config import AudioConfig
from tts.data.corpora import EMBEDDED_CORPUS
from tts.data.feature_file import read_features
from tts.data.features import SETTINGS
from tts.data.files import read_json, some
from tts.data.manifest import ManifestRow, Utterance, read_audio_config, read_manifest
from tts.data.statistics import STATISTICS, Statistics
from tts.errors import DataError

logger = logging.getLogger(__name__)

DECODE = "decode.json"
F0_SETTINGS = {"f0_method": "method", "f0_min": "f0_min", "f0_max": "f0_max"}

Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One utterance of one system.

    wav: (N,) at `sample_rate`.
    wave_mel: (n_mels, T) natural log, measured on the wave; of a recording, that of the features.
    f0: (T,) Hz, 0 = unvoiced, measured on the wave.
    mel: (n_mels, T) the mel a model made, None where no model did.
    priors: name to (n_mels, T).
    """

    wav: Array
    sample_rate: int
    wave_mel: Array
    f0: Array
    mel: Array | None = None
    priors: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class System:
    """One row of the table. `folder` holds a wave an utterance; None stands for the recordings."""

    name: str
    folder: Path | None
    vocoder: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    decoded: Mapping[str, Mapping[str, Any]] | None = None  # rows of decode.json by id


class ReferenceSet(Protocol):
    """What decoded utterances stand beside, by their ids."""

    audio: AudioConfig

    def reference(self, utterance: str) -> tuple[Array, Array]:
        """Mel (n_mels, T), natural log, and F0 (T,) Hz of the recording."""
        ...


class ClipReader:
    """How waves are measured to be comparable: one mel contract and one way to find F0, frame i at sample i * hop."""

    def __init__(self, audio: AudioConfig, of_what: str, **f0_options: Any) -> None:
        """`of_what` names, in a message, that which the contract is of; `f0_options` go to `extract_f0`."""
        self.audio, self.of_what, self.f0_options = audio, of_what, f0_options
        self._extract_mel = MelExtractor(audio)

    def recording(self, path: Path) -> Clip:
        """A wave of any rate.

        Raises:
            AudioError: if it cannot be read.
        """
        return self._measure(read_audio(path, self.audio.sample_rate)[0])

    def decoded(self, system: System, utterance: str) -> Clip:
        """One utterance of a system that has a folder, with what its model made.

        Raises:
            DataError: if a decoded file is missing, incomplete, or made for another sample rate or mel.
            AudioError: if the wave cannot be read.
        """
        if system.folder is None:
            raise ValueError(f"{system.name} has no folder of waves.")
        path, rate = system.folder / f"{utterance}.wav", self.audio.sample_rate
        wav, found = read_audio(path)
        if found != rate:
            raise DataError(f"{path}: {found} Hz, {self.of_what} for {rate} Hz. Decode with a model of the same mel.")
        made = self._read_decoded(system.folder / f"{utterance}.safetensors") if system.decoded is not None else {}
        priors = {name.replace("_", " "): made[name] for name in ("source_prior", "filter_prior") if name in made}
        return replace(self._measure(wav), mel=made.get("mel"), priors=priors)

    def _measure(self, wav: Array) -> Clip:
        """Without the mel frame after the last sample."""
        with torch.inference_mode():
            mel = self._extract_mel(torch.from_numpy(wav)[None])[0].numpy()
        mel = mel[:, : max(1, len(wav) // self.audio.hop_length)]
        f0 = extract_f0(wav, self.audio, mel.shape[1], **self.f0_options)
        return Clip(wav=wav, sample_rate=self.audio.sample_rate, wave_mel=mel, f0=f0)

    def _read_decoded(self, path: Path) -> dict[str, Array]:
        try:
            made = load_file(path)
        except (OSError, SafetensorError) as err:
            raise DataError(f"{path}: not a complete decoded utterance ({err}). Run the decode stage again.") from err
        if "mel" not in made or made["mel"].shape[0] != self.audio.n_mels:
            raise DataError(f"{path}: expected a mel of {self.audio.n_mels} bands. Decode with a model of the same mel.")
        return made


class EvaluationSet:
    """The reference side: a features folder, and how clips are measured to be comparable with it."""

    def __init__(self, features: Path) -> None:
        """Reads the manifest.

        Raises:
            DataError: if the folder is not complete.
        """
        self.features = features
        self.rows: dict[str, ManifestRow] = {row.id: row for row in read_manifest(features)}
        self.audio: AudioConfig = read_audio_config(features)
        settings = read_json(features / SETTINGS) if (features / SETTINGS).exists() else {}
        f0_options = {ours: settings[theirs] for theirs, ours in F0_SETTINGS.items() if theirs in settings}
        self._reader = ClipReader(self.audio, f"the features in {features} are", **f0_options)

    @cached_property
    def mel_scale(self) -> tuple[float, str]:
        """The deviation of the normalised mel, natural log, and where it comes from: the training set if it is beside."""
        for folder in (self.features, self.features.parent / "train"):
            if (folder / STATISTICS).is_file():
                return Statistics.load(folder / STATISTICS).mel_std, "deviation of the training set"
        values = np.concatenate([self.reference(i)[0].ravel() for i in self.rows])
        return float(values.std()), "deviation of this set, for want of training statistics"

    def reference(self, utterance: str) -> tuple[Array, Array]:
        """Mel (n_mels, T), natural log, and F0 (T,) Hz of the recording."""
        mel, f0 = read_features(self.features, utterance)
        return mel.numpy(), f0.numpy()

    def clip(self, system: System, utterance: str) -> Clip:
        """One utterance of a system, measured as the features were.

        Raises:
            DataError: if a decoded file is missing, incomplete, or made for another sample rate or mel.
            AudioError: if the wave cannot be read.
        """
        if system.folder is not None:
            return self._reader.decoded(system, utterance)
        mel, f0 = self.reference(utterance)
        wav, rate = read_audio(self.rows[utterance].audio, self.audio.sample_rate)
        return Clip(wav=wav, sample_rate=rate, wave_mel=mel, f0=f0)


def read_decoded(folders: Sequence[Path]) -> list[System]:
    """The systems that `glottis decode` wrote, named by the last parts of their paths.

    Raises:
        DataError: if a folder has no complete decode.json.
    """
    systems = []
    for folder, name in zip(folders, path_names(folders), strict=True):
        found = read_json(folder / DECODE)
        try:
            rows = {row["id"]: row for row in found["utterances"]}
            vocoder, sampling = found["vocoder"], found["sampling"]
        except (KeyError, TypeError) as err:
            raise DataError(f"{folder / DECODE}: no {err} in it. Run the decode stage again.") from err
        systems.append(System(name=name, folder=folder, vocoder=vocoder, sampling=sampling, decoded=rows))
    return systems


def vocode_recordings(
    data: ReferenceSet, ids: Sequence[str], name: str, vocode: Callable[[torch.Tensor], torch.Tensor], out: Path
) -> System:
    """The recordings' mels through a vocoder: the best any acoustic model could sound like with it.

    Args:
        data: the evaluation set.
        ids: its utterances to take.
        name: of the vocoder.
        vocode: mel (1, n_mels, T), natural log, to a wave (1, N).
        out: folder for a wave an utterance, made if missing.
    """
    out.mkdir(parents=True, exist_ok=True)
    for utterance in ids:
        with torch.inference_mode():
            wav = vocode(torch.from_numpy(data.reference(utterance)[0])[None])[0]
        write_audio(out / f"{utterance}.wav", wav, data.audio.sample_rate)
    return System(name=f"recordings through {name}", folder=out, vocoder=name)


def recordings() -> System:
    """The recordings themselves."""
    return System(name="recordings", folder=None)


def common_ids(ids: Iterable[str], systems: Sequence[System], where: Path) -> list[str]:
    """Those of the utterances listed in `where` that every decoded system has, in their order; a warning counts the others.

    Raises:
        DataError: if there is none.
    """
    listed = list(ids)
    common = [i for i in listed if all(s.decoded is None or i in s.decoded for s in systems)]
    if not common:
        decoded = [i for s in systems for i in s.decoded or ()]
        raise DataError(f"{where}: has none of the decoded utterances {some(decoded)}. Give the set they were made of.")
    if len(common) < len(listed):
        logger.warning("%d of %d utterances of %s are decoded; the others are left out", len(common), len(listed), where)
    return common


def corpus_kind(rows: Sequence[ManifestRow | Utterance]) -> str:
    """What figures are of: "synthetic corpus" where the corpus says so, else "corpus of recordings".

    A corpus says so with the word "synthetic" at the head (the first five lines of text) of the README.md beside its
    metadata.csv; the embedded corpus is synthetic.
    """
    roots = {Path(row.audio).parent.parent for row in rows}
    return "synthetic corpus" if any(_is_synthetic(root) for root in roots) else "corpus of recordings"


def _is_synthetic(root: Path) -> bool:
    if root == EMBEDDED_CORPUS.resolve():
        return True
    card = root / "README.md"
    if not card.is_file():
        return False
    head = [line for line in card.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()][:5]
    return re.search(r"(?<!not )(?<!no )(?<!non-)\bsynthetic\b", "\n".join(head), re.IGNORECASE) is not None


def path_names(folders: Sequence[Path], parts: int = 3) -> list[str]:
    """The last `parts` parts of each path, or as many as tell them apart."""
    names = ["/".join(folder.absolute().parts[1:][-parts:]) for folder in folders]
    longest = max(len(folder.absolute().parts) for folder in folders)
    return names if len(set(names)) == len(names) or parts >= longest else path_names(folders, parts + 1)
