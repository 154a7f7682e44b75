"""How results of a conversion read: the columns of its table, and what stands beside a player."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tts.metrics.report import View, percent
from tts.metrics.tables import NOT_MEASURED, WER, WER_INTERVAL, Column, fixed, interval, rtf_parts


def conversion_columns(encoders: Sequence[str]) -> tuple[Column, ...]:
    """The columns, with five for each speaker encoder of these names."""
    return (
        WER,
        WER_INTERVAL,
        Column("cer", "CER %", fixed(1, 100), "the same of characters"),
        *(column for name in encoders for column in _similarity_columns(name)),
        Column(
            "log_f0_correlation",
            "F0 corr.",
            fixed(2),
            "correlation of ln F0 with the source over frames voiced in both, without warping; mean weighted by voiced frames",
        ),
        Column("contour_rmse", "F0 RMSE", fixed(3), "of ln F0 to the source's over these frames, each less its mean"),
        Column("voicing_error", "voicing err. %", fixed(1, 100), "frames voiced in one and unvoiced in the other"),
        Column("f0_hz", "F0 Hz", fixed(0), "median of the utterances' median F0"),
        Column(
            "f0_shift",
            "F0 shift",
            fixed(2),
            "how far the median ln F0 went from the source's (0) to the target's (1): least squares over the pairs",
        ),
        Column(
            "detail",
            "detail",
            fixed(2),
            "Laplacian energy of the mel the model makes over that of the source's; 1 is as sharp as the source",
        ),
        Column("detail_wave", "detail (wave)", fixed(2), "the same of the mel measured on the wave"),
        Column("rtf", "RTF", rtf_parts, "computing time over speech time, by part, on the machine that converted"),
    )


def conversion_view(encoders: Sequence[str], own_time: Sequence[str]) -> View:
    """What the page of a conversion says; `own_time` names the systems that keep another time than the source."""

    def remark(row: Mapping[str, Any]) -> str:
        parts = [f"WER {percent(row.get('wer'))} %"]
        for name in encoders:
            target, source = (_cosine(row["similarity"][name][to]) for to in ("target", "source"))
            parts.append(f"{name}: {target} to the target, {source} to the source")
        return "; ".join(parts)

    return View(columns=conversion_columns(encoders), remark=remark, own_time=own_time)


def _similarity_columns(encoder: str) -> tuple[Column, ...]:
    key, title = f"{encoder}_", encoder
    return (
        Column(
            key + "target",
            f"{title} SECS",
            fixed(3),
            f"mean cosine to the target by {encoder}; of the target recordings: of two recordings of one speaker, the ceiling; "
            "of the source recordings: of two speakers, the floor",
        ),
        Column(key + "target_interval", "95 % CI", interval(3), "of it, by bootstrap over the pairs"),
        Column(
            key + "source",
            f"{title} to source",
            fixed(3),
            "mean cosine to the source; of the source recordings: of two recordings of one speaker",
        ),
        Column(
            key + "nearer", f"{title} nearer %", fixed(0, 100), "pairs that are more similar to the target than to the source"
        ),
        Column(
            key + "eer",
            f"{title} EER %",
            fixed(1, 100),
            "equal error rate, similarities to the target for genuine, to the source for impostors; of the target recordings: "
            "the encoder's own on real speech",
        ),
    )


def _cosine(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else NOT_MEASURED
