"""Objective evaluation of converted speech beside its sources and targets: results.json, RESULTS.md and report.html."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tts.audio.io import read_audio
from tts.data.files import write_json, write_text
from tts.errors import DataError
from tts.metrics.asr import NotMeasured, Recognizer
from tts.metrics.conversion_set import SOURCES, TARGETS, ConversionSet
from tts.metrics.conversion_tables import conversion_view
from tts.metrics.evaluation import BLOCK, REPORT, RESULTS, Vocode, detail, json_ready, provenance, score_words, summarize
from tts.metrics.report import write_report
from tts.metrics.similarity import cosine, equal_error_rate, nearer_share, secs
from tts.metrics.speakers import SpeakerEncoder
from tts.metrics.speech import pitch_scores
from tts.metrics.systems import Array, Clip, System, common_ids, corpus_kind, read_decoded, vocode_recordings
from tts.metrics.tables import results_block

MAX_SECONDS_APART = 0.1  # of a converted utterance and its source, whose frames are compared one by one


class Judges:
    """Who hears the words and who knows the voices; a file is judged once."""

    def __init__(self, recognizer: Recognizer | NotMeasured, encoders: Mapping[str, SpeakerEncoder | NotMeasured]) -> None:
        self.recognizer = recognizer
        self.encoders = {name: found for name, found in encoders.items() if not isinstance(found, NotMeasured)}
        missing = [f"{name} {found}" for name, found in encoders.items() if isinstance(found, NotMeasured)]
        self.facts = {"speaker encoders": "; ".join([*self.encoders, *missing])}
        self.heard, self._embed = cache(self._heard), cache(self._embed_file)

    def _heard(self, path: Path) -> str | None:
        return self.recognizer.transcribe(*read_audio(path)) if isinstance(self.recognizer, Recognizer) else None

    def voice(self, encoder: str, files: Sequence[Path]) -> Array:
        """The mean of the unit vectors (D,) of the files."""
        return np.mean([self._embed(encoder, path) for path in files], axis=0)

    def _embed_file(self, encoder: str, path: Path) -> Array:
        return self.encoders[encoder].embed(*read_audio(path))


def evaluate_conversion(
    decoded: Sequence[Path], data: ConversionSet, out: Path, *, vocoders: Mapping[str, Vocode], judges: Judges, command: str
) -> dict[str, Any]:
    """Measure converted sets, the sources through the same vocoders, targets and sources; write all to `out`.

    Args:
        decoded: folders that `glottis convert-set` wrote, of the same pairs.
        data: the pairs.
        out: gets results.json (every pair), RESULTS.md, report.html and vocoded/.
        vocoders: by the names in the decode.json files; one that is missing is not compared with.
        judges: of words and voices.
        command: what to run to repeat this.

    Returns:
        what results.json holds.

    Raises:
        DataError: if a folder is not complete, no pair is in all of them, or a converted utterance is not as long as its
            source.
    """
    systems = read_decoded(decoded)
    names = common_ids(data.cases, systems, data.path)
    for number, vocoder in enumerate(dict.fromkeys(s.vocoder for s in systems)):
        if vocoder in vocoders:
            vocoded = vocode_recordings(data, names, vocoder, vocoders[vocoder], out / "vocoded" / str(number))
            systems.append(replace(vocoded, name=f"sources through {vocoder}"))
    systems += [System(name=TARGETS, folder=None), System(name=SOURCES, folder=None)]
    view = conversion_view(list(judges.encoders), own_time=[TARGETS])
    results = {
        "title": f"Conversion of {'/'.join(data.path.absolute().parts[-3:])}",
        "set": f"{data.path}: {len(names)} pairs, {corpus_kind([data.cases[name].source for name in names])}",
        "n_pairs": len(names),
        "judges": judges.facts,
    } | provenance(judges.recognizer, command)
    results["systems"] = [score_system(data, system, names, judges) for system in systems]
    write_json(out / RESULTS, json_ready(results))
    write_text(out / BLOCK, results_block(results, view.columns))
    by_name = {system.name: system for system in systems}
    write_report(out / REPORT, results, lambda name, pair: data.clip(by_name[name], pair), view)
    return results


def score_system(data: ConversionSet, system: System, names: Sequence[str], judges: Judges) -> dict[str, Any]:
    """Figures of one system: name, vocoder, sampling, summary (of the set) and utterances (one row each)."""
    rows = []
    for name in tqdm(names, desc=system.name, unit="pair"):
        clip, pair = data.clip(system, name), data.cases[name].pair
        row: dict[str, Any] = {"id": name, "source": str(pair.source), "target": pair.target}
        row |= {"text": data.text(system, name), "seconds": len(clip.wav) / clip.sample_rate}
        if system.folder is not None:
            row |= measure_contour(data, system, name, clip)
        tracks = {"f0_hz": clip.f0, "f0_hz_source": data.reference(name)[1], "f0_hz_target": data.target_f0(name)}
        row |= {key: median_f0(track) for key, track in tracks.items()}
        if system.decoded is not None:
            row["computing"] = dict(system.decoded[name]["seconds"])
        row["similarity"] = {encoder: similarity(data, system, name, judges, encoder) for encoder in judges.encoders}
        row["heard"] = judges.heard(data.audio_path(system, name))
        rows.append(row)
    summary = summarize(rows) | summarize_conversion(rows, list(judges.encoders)) | score_words(rows)
    return {
        "name": system.name,
        "vocoder": system.vocoder,
        "sampling": dict(system.sampling),
        "summary": summary,
        "utterances": rows,
    }


def measure_contour(data: ConversionSet, system: System, name: str, clip: Clip) -> dict[str, Any]:
    """F0 and detail of a converted utterance beside its source, frame by frame: conversion keeps time.

    Raises:
        DataError: if the two are not equally long.
    """
    mel, f0 = data.reference(name)
    frames = min(len(f0), len(clip.f0))
    apart = abs(len(f0) - len(clip.f0)) / data.audio.frame_rate
    if apart > MAX_SECONDS_APART:
        raise DataError(
            f"{data.audio_path(system, name)}: {apart:.2f} s longer or shorter than {data.cases[name].source.audio}; "
            f"conversion keeps time, at most {MAX_SECONDS_APART} s are expected. Convert these pairs, without trimming."
        )
    pitch = pitch_scores(f0[:frames], clip.f0[:frames])
    row = {
        "log_f0_correlation": pitch.correlation,
        "contour_rmse": pitch.contour_rmse,
        "n_voiced": pitch.n_voiced,
        "voicing_error": pitch.voicing_error,
        "detail_wave": detail(clip.wave_mel),
        "detail_recording": detail(mel),
    }
    return row if clip.mel is None else row | {"detail": detail(clip.mel)}


def similarity(data: ConversionSet, system: System, name: str, judges: Judges, encoder: str) -> dict[str, float]:
    """Cosines to the target and to the source.

    Of the recordings themselves they are those of real speech: to its own side, of another recording of the same speaker
    (NaN where none is known); to the other side, of the two recordings, who are different speakers.
    """
    case = data.cases[name]
    target, source = judges.voice(encoder, case.references), judges.voice(encoder, [case.source.audio])
    if system.folder is not None:
        made = judges.voice(encoder, [data.audio_path(system, name)])
        return {"target": cosine(made, target), "source": cosine(made, source)}
    own, other, side = (
        (target, case.other_target, "target") if system.name == TARGETS else (source, case.other_source, "source")
    )
    same = math.nan if other is None else cosine(judges.voice(encoder, [other]), own)
    return {"target": cosine(target, source), "source": cosine(target, source)} | {side: same}


def summarize_conversion(rows: Sequence[Mapping[str, Any]], encoders: Sequence[str]) -> dict[str, Any]:
    """Figures of voices and of median F0 of a set from those of its pairs."""
    summary: dict[str, Any] = {"f0_hz": _finite_median([row["f0_hz"] for row in rows]), "f0_shift": f0_shift(rows)}
    for name in encoders:
        to_target, to_source = ([row["similarity"][name][side] for row in rows] for side in ("target", "source"))
        mean = secs(to_target)
        summary |= {
            f"{name}_target": mean.value,
            f"{name}_target_interval": None if math.isnan(mean.value) else [mean.low, mean.high],
            f"{name}_source": secs(to_source).value,
            f"{name}_nearer": nearer_share(to_target, to_source).value,
            f"{name}_eer": equal_error_rate(to_target, to_source),
        }
    return summary


def f0_shift(rows: Sequence[Mapping[str, Any]]) -> float:
    """How far median ln F0 went from the source's to the target's: 0 where it stayed, 1 where it arrived.

        Σ s w / Σ w² ,   s = ln(converted / source) ,   w = ln(target / source)

    NaN if no pair has the three, or they never differ.
    """
    medians = np.array([[row["f0_hz_source"], row["f0_hz"], row["f0_hz_target"]] for row in rows], dtype=np.float64)
    source, made, target = np.log(medians[np.isfinite(medians).all(axis=1)]).T
    wanted = target - source
    return float(((made - source) * wanted).sum() / np.square(wanted).sum()) if np.any(wanted) else math.nan


def median_f0(f0: Array) -> float:
    """The median of the voiced frames of F0 (T,) in Hz, 0 = unvoiced; NaN if there is none."""
    return _finite_median(f0[f0 > 0])


def _finite_median(values: Any) -> float:
    finite = np.asarray(values, dtype=np.float64)[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else math.nan
