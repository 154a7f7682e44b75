"""Objective evaluation of decoded speech beside its recordings: results.json, RESULTS.md and report.html."""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from tts.data.files import write_json, write_text
from tts.errors import TextError
from tts.metrics.asr import NotMeasured, Recognizer
from tts.metrics.environment import git_hash, versions
from tts.metrics.intervals import bootstrap
from tts.metrics.report import write_report
from tts.metrics.speech import (
    align,
    duration_error,
    global_variance_ratio,
    log_mel_l1,
    mel_cepstral_distortion,
    pitch_scores,
    spectral_detail,
)
from tts.metrics.systems import (
    Array,
    Clip,
    EvaluationSet,
    System,
    common_ids,
    corpus_kind,
    read_decoded,
    recordings,
    vocode_recordings,
)
from tts.metrics.tables import results_block
from tts.metrics.words import error_rates, plain_words
from tts.text.normalize import normalize

RESULTS, BLOCK, REPORT = "results.json", "RESULTS.md", "report.html"
MIN_DETAIL_FRAMES = 3
Vocode = Callable[[torch.Tensor], torch.Tensor]


def evaluate(
    decoded: Sequence[Path],
    features: Path,
    out: Path,
    *,
    vocoders: Mapping[str, Vocode],
    recognizer: Recognizer | NotMeasured,
    command: str,
) -> dict[str, Any]:
    """Measure decoded sets, the recordings through the same vocoders and the recordings; write all to `out`.

    Args:
        decoded: folders that `glottis decode` wrote.
        features: features folder of the recordings.
        out: gets results.json (every utterance), RESULTS.md, report.html and vocoded/.
        vocoders: by the names in the decode.json files; one that is missing is not compared with.
        recognizer: hears the speech, or says why none does.
        command: what to run to repeat this.

    Returns:
        what results.json holds.

    Raises:
        DataError: if a folder is not complete, or the two sides have no utterance in common.
    """
    data, systems = EvaluationSet(features), read_decoded(decoded)
    ids = common_ids(data.rows, systems, features)
    for number, name in enumerate(dict.fromkeys(s.vocoder for s in systems)):
        if name in vocoders:
            systems.append(vocode_recordings(data, ids, name, vocoders[name], out / "vocoded" / str(number)))
    systems.append(recordings())
    scored = [score_system(data, system, ids, recognizer) for system in systems]
    results = describe(data, ids, recognizer, command) | {"systems": scored}
    write_json(out / RESULTS, json_ready(results))
    write_text(out / BLOCK, results_block(results))
    by_name = {system.name: system for system in systems}
    write_report(out / REPORT, results, lambda name, utterance: data.clip(by_name[name], utterance))
    return results


def score_system(
    data: EvaluationSet, system: System, ids: Sequence[str], recognizer: Recognizer | NotMeasured
) -> dict[str, Any]:
    """Figures of one system: name, vocoder, sampling, summary (of the set) and utterances (one row each)."""
    rows = []
    for utterance in tqdm(ids, desc=system.name, unit="utt"):
        clip = data.clip(system, utterance)
        row: dict[str, Any] = {"id": utterance, "text": data.rows[utterance].text, "seconds": len(clip.wav) / clip.sample_rate}
        if system.folder is not None:
            row |= measure(*data.reference(utterance), clip, data.mel_scale[0], data.audio.power)
        if system.decoded is not None:
            row["computing"] = dict(system.decoded[utterance]["seconds"])
        row["heard"] = recognizer.transcribe(clip.wav, clip.sample_rate) if isinstance(recognizer, Recognizer) else None
        rows.append(row)
    summary = summarize(rows) | score_words(rows)
    return {
        "name": system.name,
        "vocoder": system.vocoder,
        "sampling": dict(system.sampling),
        "summary": summary,
        "utterances": rows,
    }


def measure(mel: Array, f0: Array, clip: Clip, mel_std: float, power: float = 1.0) -> dict[str, Any]:
    """Figures of one utterance beside its recording, frames paired by DTW.

    Args:
        mel: of the recording, (n_mels, T), natural log.
        f0: of the recording, (T,) Hz, 0 = unvoiced.
        clip: what is measured.
        mel_std: deviation of the normalised mel; log-mel differences are given in its units.
        power: of the mel, 1 for magnitudes.
    """
    path = align(mel, clip.wave_mel)
    pitch = pitch_scores(f0, clip.f0, path)
    row = {
        "mel_l1_wave": log_mel_l1(mel, clip.wave_mel, path) / mel_std,
        "detail_wave": detail(clip.wave_mel, mel_std),
        "detail_recording": detail(mel, mel_std),
        "variance_wave": global_variance_ratio(mel, clip.wave_mel),
        "mcd": mel_cepstral_distortion(mel, clip.wave_mel, path, power=power),
        "log_f0_rmse": pitch.log_f0_rmse,
        "log_f0_correlation": pitch.correlation,
        "n_voiced": pitch.n_voiced,
        "voicing_error": pitch.voicing_error,
        "frames": clip.wave_mel.shape[1],
        "frames_recording": mel.shape[1],
    }
    if clip.mel is not None:
        row["mel_l1"] = log_mel_l1(mel, clip.mel, align(mel, clip.mel)) / mel_std
        row["detail"] = detail(clip.mel, mel_std)
    return row


def summarize(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of a set from those of its utterances: means, of F0 weighted by voiced frames, of detail as a ratio of means."""
    summary: dict[str, Any] = {}
    for key in ("mel_l1", "mel_l1_wave", "variance_wave", "mcd", "voicing_error"):
        if key in rows[0]:
            summary[key] = bootstrap([row[key] for row in rows]).value
    for key in ("log_f0_rmse", "log_f0_correlation", "contour_rmse"):
        if key in rows[0]:
            summary[key] = bootstrap([row[key] for row in rows], [row["n_voiced"] for row in rows]).value
    for key in ("detail", "detail_wave"):
        if key in rows[0]:
            both = [(row[key], row["detail_recording"]) for row in rows]
            made, recorded = np.array([pair for pair in both if all(map(math.isfinite, pair))]).reshape(-1, 2).sum(0)
            summary[key] = float(made / recorded) if recorded else math.nan
    if "frames" in rows[0]:
        summary["duration_error"] = duration_error([r["frames_recording"] for r in rows], [r["frames"] for r in rows])
    if "computing" in rows[0]:
        speech = sum(row["seconds"] for row in rows)
        summary["rtf"] = {part: sum(row["computing"][part] for row in rows) / speech for part in rows[0]["computing"]}
    return summary


def score_words(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """WER with its interval and CER over the rows with a text of words; each such row gets its own `wer`.

    Numbers and abbreviations are spelled out on both sides by the text normaliser.
    """
    spoken = [(row, _spell_out(row["text"]), _spell_out(row["heard"])) for row in rows if row["heard"] is not None]
    spoken = [triple for triple in spoken if plain_words(triple[1])]
    if not spoken:
        return {}
    measured, references, hypotheses = zip(*spoken, strict=True)
    rates = error_rates(references, hypotheses)
    for row, reference, errors in zip(measured, references, rates.word_errors, strict=True):
        row["wer"] = errors / len(plain_words(reference).split())
    return {"wer": rates.wer.value, "wer_interval": [rates.wer.low, rates.wer.high], "cer": rates.cer.value}


def describe(data: EvaluationSet, ids: Sequence[str], recognizer: Recognizer | NotMeasured, command: str) -> dict[str, Any]:
    """What stands above the table: data, tools, versions."""
    mel_std, source = data.mel_scale
    return {
        "title": f"Evaluation on {'/'.join(data.features.absolute().parts[-3:])}",
        "set": f"{data.features}: {len(ids)} utterances, {corpus_kind([data.rows[i] for i in ids])}",
        "n_utterances": len(ids),
        "mel_std": mel_std,
        "mel_std_from": source,
    } | provenance(recognizer, command)


def provenance(recognizer: Recognizer | NotMeasured, command: str) -> dict[str, Any]:
    """When, how and with what figures were taken."""
    heard = isinstance(recognizer, Recognizer)
    return {
        "date": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "command": command,
        "asr": recognizer.name if heard else None,
        "asr_missing": None if heard else recognizer.reason,
        "versions": versions(),
        "git": git_hash(),
    }


def json_ready(value: Any) -> Any:
    """The value with null for every NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, list):
        return [json_ready(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def detail(mel: Array, mel_std: float = 1.0) -> float:
    """`spectral_detail` of a mel, NaN if it has too few frames for it."""
    return spectral_detail(mel, mel_std) if mel.shape[1] >= MIN_DETAIL_FRAMES else math.nan


def _spell_out(text: str) -> str:
    try:
        return normalize(text)
    except TextError:
        return ""
