"""How results read: the columns of an evaluation, once, for Markdown and HTML; and the block for RESULTS.md."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOT_MEASURED = "–"
Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One figure of a system: the key of its summary, the title, how it is written, and what it is."""

    key: str
    title: str
    write: Callable[[Any], str]
    meaning: str = ""

    def cell(self, summary: Summary) -> str:
        """The figure of one system, "–" where there is none."""
        value = summary.get(self.key)
        return NOT_MEASURED if value is None or (isinstance(value, float) and math.isnan(value)) else self.write(value)


def fixed(digits: int, factor: float = 1.0) -> Callable[[Any], str]:
    """Writes `factor` times a figure with so many digits."""
    return lambda value: f"{round(factor * value, digits) + 0.0:.{digits}f}"  # 0, never -0


def interval(digits: int, factor: float = 1.0) -> Callable[[Any], str]:
    """Writes the two ends of an interval like `fixed`."""
    return lambda value: f"{factor * value[0]:.{digits}f}–{factor * value[1]:.{digits}f}"


def rtf_parts(value: Mapping[str, float]) -> str:
    """Writes real-time factors by part, their sum first."""
    total = f"**{sum(value.values()):.3f}**"
    return f"{total} = {' + '.join(f'{rtf:.3f} {name}' for name, rtf in value.items())}"


WER = Column("wer", "WER %", fixed(1, 100), "words substituted, left out or put in, of the words of the texts")
WER_INTERVAL = Column("wer_interval", "95 % CI", interval(1, 100), "of WER, by bootstrap over the utterances")
LOG_MEL_L1 = Column(
    "mel_l1", "log-mel L1", fixed(3), "mean |difference| to the recording's mel after DTW, {unit}; of the mel the model makes"
)
DETAIL = Column(
    "detail",
    "detail",
    fixed(2),
    "Laplacian energy of that mel over the recording's; 1 is as sharp as speech, below is blurred",
)
F0_CORRELATION = Column(
    "log_f0_correlation",
    "F0 corr.",
    fixed(2),
    "correlation of ln F0 over frames voiced in both, after DTW; mean weighted by voiced frames",
)
VARIANCE = Column(
    "variance_wave",
    "variance (wave)",
    fixed(2),
    "variance over time of the wave's log-mel over that of the recording's, mean of the bands; below 1 is over-smoothed",
)

COLUMNS = (
    WER,
    WER_INTERVAL,
    Column("cer", "CER %", fixed(1, 100), "the same of characters"),
    LOG_MEL_L1,
    Column("mel_l1_wave", "L1 (wave)", fixed(3), "the same of the mel measured on the wave: what the vocoder left of it"),
    DETAIL,
    Column("detail_wave", "detail (wave)", fixed(2), "the same of the wave"),
    VARIANCE,
    Column("mcd", "MCD dB", fixed(2), "mel-cepstral distortion of the wave, after DTW"),
    Column("log_f0_rmse", "F0 RMSE", fixed(3), "of ln F0, over frames voiced in both, after DTW"),
    F0_CORRELATION,
    Column("voicing_error", "voicing err. %", fixed(1, 100), "frames voiced in one and unvoiced in the other, after DTW"),
    Column("duration_error", "duration err. %", fixed(1, 100), "|duration − that of the recording| over the recording's"),
    Column("rtf", "RTF", rtf_parts, "computing time over speech time, by part, on the machine that decoded"),
)


def markdown_table(systems: Sequence[Mapping[str, Any]], columns: Sequence[Column] = COLUMNS) -> str:
    """One line a system (`name`, `summary`); columns that nobody has are left out, unless it is WER."""
    shown = shown_columns(systems, columns)
    lines = ["| system | " + " | ".join(c.title for c in shown) + " |", "|---|" + "---|" * len(shown)]
    lines += [f"| {_escape(s['name'])} | " + " | ".join(c.cell(s["summary"]) for c in shown) + " |" for s in systems]
    return "\n".join(lines) + "\n"


def shown_columns(systems: Sequence[Mapping[str, Any]], columns: Sequence[Column] = COLUMNS) -> list[Column]:
    """The columns in which some system has a figure, and WER always."""
    return [c for c in columns if c is WER or any(c.cell(s["summary"]) != NOT_MEASURED for s in systems)]


def facts(results: Mapping[str, Any]) -> dict[str, str]:
    """What a reader must know beside the figures: data, tools, versions."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    vocoders = sorted({s["vocoder"] for s in results["systems"] if s["vocoder"]})
    return {
        "date": results["date"],
        "set": results["set"],
        "ASR": results["asr"] or f"not measured: {results['asr_missing']}",
        **results.get("judges", {}),
        "vocoder": ", ".join(vocoders),
        "versions": versions,
        "git": results["git"],
    }


def notes(results: Mapping[str, Any], columns: Sequence[Column] = COLUMNS) -> list[str]:
    """What each shown column means."""
    unit = ""
    if "mel_std" in results:
        unit = f"in units of the normalised mel (ln / {results['mel_std']:.3f}, {results['mel_std_from']})"
    shown = [c for c in shown_columns(results["systems"], columns) if c.meaning]
    return [f"{c.title}: {c.meaning.format(unit=unit)}" for c in shown]


def results_block(results: Mapping[str, Any], columns: Sequence[Column] = COLUMNS) -> str:
    """The block for RESULTS.md: environment, exact command, table, what the columns mean."""
    lines = [f"## {results['title']}", ""]
    lines += [f"- {name}: {text}" for name, text in facts(results).items()]
    lines += ["", "<details><summary>command</summary>", "", "```", results["command"], "```", "", "</details>", ""]
    lines += [markdown_table(results["systems"], columns)]
    decoded = [s for s in results["systems"] if s["sampling"]]
    lines += [f"- {_escape(s['name'])}: {', '.join(f'{k} {v}' for k, v in s['sampling'].items())}" for s in decoded]
    lines += [f"- {note}" for note in notes(results, columns)]
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
