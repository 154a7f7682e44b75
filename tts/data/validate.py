"""Is this data fit for training: the check of a Kaldi directory, and the filter of a features folder (stage 3)."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import soundfile

from tts.config import to_dict
from tts.data.feature_file import FeatureInfo, features_path, read_feature_info
from tts.data.files import write_json
from tts.data.kaldi_dir import find_problems, is_pipe, read_table
from tts.data.manifest import MANIFEST, UNFILTERED, ManifestRow, read_manifest, write_manifest
from tts.errors import DataError

FILTER_REPORT = "filter.json"
_SILENT_PEAK = 1e-4  # three steps of 16 bit; -60 dBFS is still speech


@dataclass(frozen=True, kw_only=True)
class FilterLimits:
    """What an utterance must keep to be trained on."""

    min_seconds: float = 0.1
    max_seconds: float = 20.0
    require_text: bool = True
    min_voiced: float = 0.05  # share of frames with F0
    min_symbol_rate: float = 2.0  # symbols of the front end per second
    max_symbol_rate: float = 30.0
    max_clipped: float = 0.001  # share of samples at full scale; more is warned of, not dropped


@dataclass(frozen=True, kw_only=True)
class FilterReport:
    """Ids by reason."""

    kept: int
    dropped: dict[str, list[str]]
    warned: dict[str, list[str]]

    def summary(self) -> str:
        """One line per reason, with its count."""
        lines = [f"kept {self.kept} of {self.kept + sum(map(len, self.dropped.values()))} utterances"]
        lines += [f"  dropped, {reason}: {len(ids)}" for reason, ids in self.dropped.items()]
        lines += [f"  warning, {reason}: {len(ids)}" for reason, ids in self.warned.items()]
        return "\n".join(lines)


def validate_kaldi_dir(folder: Path, *, require_text: bool = True) -> tuple[list[str], list[str]]:
    """Everything wrong with a Kaldi directory, one line each, and the ids whose audio or text cannot be used.

    Besides `find_problems`: every audio file must exist, be readable and have samples, and every utterance needs a text
    unless `require_text` is False. Only headers are read.
    """
    problems = find_problems(folder)
    unusable: list[str] = []
    reasons: list[str] = []
    if all((folder / name).is_file() for name in ("wav.scp", "text")):
        bad_audio = {
            e.key: (e.line, _audio_problem(Path(e.value))) for e in read_table(folder / "wav.scp") if not is_pipe(e.value)
        }
        reasons += [f"{folder / 'wav.scp'}:{line}: {key}: {reason}" for key, (line, reason) in bad_audio.items() if reason]
        unusable += [key for key, (_, reason) in bad_audio.items() if reason]
        if require_text:
            empty = [e for e in read_table(folder / "text") if not e.value]
            reasons += [f"{folder / 'text'}:{e.line}: {e.key} has no text." for e in empty]
            unusable += [e.key for e in empty]
    return problems + reasons, sorted(set(unusable))


def filter_features(folder: Path, limits: FilterLimits) -> FilterReport:
    """Rewrite `manifest.jsonl` with the utterances that keep the limits; counts and ids go to `filter.json`.

    Starts from `manifest.unfiltered.jsonl`, which is made the first time, so other limits can be tried afterwards.

    Raises:
        DataError: if no utterance is left (the manifest then stays as it was), or a feature file is incomplete.
    """
    if not (folder / UNFILTERED).exists():
        write_manifest(folder / UNFILTERED, read_manifest(folder))
    rows = read_manifest(folder / UNFILTERED)
    kept: list[ManifestRow] = []
    dropped: defaultdict[str, list[str]] = defaultdict(list)
    warned: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        info = read_feature_info(features_path(folder, row.id))
        reason = drop_reason(row, info, limits)
        if reason:
            dropped[reason].append(row.id)
            continue
        kept.append(row)
        if info.clipped > limits.max_clipped:
            warned["clipped"].append(row.id)
    report = FilterReport(kept=len(kept), dropped=dict(sorted(dropped.items())), warned=dict(warned))
    write_json(folder / FILTER_REPORT, {"limits": to_dict(limits), **to_dict(report)})
    if not kept:
        raise DataError(f"{folder}: no utterance is left for training; {report.summary()}\nSee {folder / FILTER_REPORT}.")
    write_manifest(folder / MANIFEST, kept)
    return report


def drop_reason(row: ManifestRow, info: FeatureInfo, limits: FilterLimits) -> str | None:
    """Why an utterance cannot be trained on, or None."""
    symbols = len(row.phones)
    reasons = {
        "too short": row.seconds < limits.min_seconds,
        "too long": row.seconds > limits.max_seconds,
        "silent": info.peak < _SILENT_PEAK,
        "unvoiced": info.voiced < limits.min_voiced,
        "no text": limits.require_text and not symbols,
        "text too short for the audio": 0 < symbols < limits.min_symbol_rate * row.seconds,
        "text too long for the audio": symbols > min(limits.max_symbol_rate * row.seconds, row.frames),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _audio_problem(path: Path) -> str | None:
    """Why the header of an audio file promises nothing, or None."""
    if not path.is_file():
        return f"no such file: {path}."
    try:
        frames = soundfile.info(path).frames
    except (soundfile.LibsndfileError, OSError) as err:
        return f"{path} is not audio libsndfile can read ({err})."
    return None if frames > 0 else f"{path} has no samples."
