"""One HTML page to look at and listen to: figures, mels, priors, F0 and players; everything is inside, it needs no network."""

import base64
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from matplotlib.image import imsave
from numpy.typing import NDArray

from tts.data.files import atomic_path
from tts.metrics.systems import Array, Clip
from tts.metrics.tables import COLUMNS, NOT_MEASURED, Column, facts, notes, shown_columns

MAX_SHOWN = 60  # utterances on the page; results.json has all
FRAME_WIDTH, F0_HEIGHT = 2.0, 110.0  # pixels
COLOURS = ("#0f9d8c", "#d9480f", "#5c3fd6", "#c2255c", "#2b8a3e", "#1971c2")
RECORDINGS_COLOUR = "#888888"  # of the last system

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1280px;padding:0 1rem}
h1{font-size:1.5rem;margin:0 0 .3rem}
h2{font-size:1.1rem;margin:2.2rem 0 .5rem;border-top:1px solid var(--line);padding-top:1rem}
h2 small{font-weight:400;display:block}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left}th{font-weight:600}
.wide{overflow-x:auto}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{opacity:.65}dd{margin:0}
pre{background:var(--soft);padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}
.row{display:grid;grid-template-columns:270px 1fr;gap:1rem;align-items:start;margin:.5rem 0}
.row>div{min-width:0}.row p{margin:.1rem 0;font-size:.88rem}audio{width:260px;height:34px}
figure{margin:0 0 .4rem;overflow-x:auto}figcaption{font-size:.78rem;opacity:.7}
figure img{display:block;height:110px}i.key{display:inline-block;width:.8em;height:.8em;margin-right:.35em}
"""


@dataclass(frozen=True, kw_only=True)
class View:
    """What a page says besides mels, F0 and players.

    columns: of the table.
    remark: figures of one utterance, beside its player.
    own_time: systems whose time is not that of the others; their F0 is left out.
    """

    columns: Sequence[Column] = COLUMNS
    remark: Callable[[Mapping[str, Any]], str] = lambda row: f"WER {percent(row.get('wer'))} %"
    own_time: Collection[str] = ()


def write_report(path: Path, results: Mapping[str, Any], clip: Callable[[str, str], Clip], view: View | None = None) -> None:
    """Write the page, utterance by utterance, in memory that does not grow with the set.

    Args:
        path: of the page.
        results: as in results.json; the last system is the recordings.
        clip: gives the clip of a system's name and an utterance's id.
        view: what it says; by default that of an evaluation of synthesis.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for piece in _pieces(results, clip, view or View()):
            file.write(piece + "\n")


def _pieces(results: Mapping[str, Any], clip: Callable[[str, str], Clip], view: View) -> Iterator[str]:
    systems, title = results["systems"], escape(results["title"])
    yield f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style><h1>{title}</h1>'
    yield _summary_table(systems, view.columns)
    yield "".join(f"<dt>{escape(k)}<dd>{escape(v)}" for k, v in facts(results).items()).join(("<dl>", "</dl>"))
    meanings = "".join(f"<li>{escape(note)}" for note in notes(results, view.columns))
    yield f"<details><summary>what the columns mean</summary><ul>{meanings}</ul></details>"
    yield f"<details><summary>command</summary><pre>{escape(results['command'])}</pre></details>"
    rows = {s["name"]: {u["id"]: u for u in s["utterances"]} for s in systems}
    ids = [u["id"] for u in systems[0]["utterances"]]
    yield _index(ids[:MAX_SHOWN], rows)
    if len(ids) > MAX_SHOWN:
        yield f"<p>The first {MAX_SHOWN} of {len(ids)} utterances are shown; results.json has the figures of all.</p>"
    for utterance in ids[:MAX_SHOWN]:
        clips = {name: clip(name, utterance) for name in rows}
        yield _utterance(utterance, {name: table[utterance] for name, table in rows.items()}, clips, view)
    yield "</html>"


def _summary_table(systems: Sequence[Mapping[str, Any]], of: Sequence[Column]) -> str:
    columns = shown_columns(systems, of)
    head = "".join(f"<th>{escape(c.title)}" for c in columns)
    lines = []
    for key, system in zip(_keys(systems), systems, strict=True):
        cells = "".join(f"<td>{escape(c.cell(system['summary']).replace('**', ''))}" for c in columns)
        lines.append(f"<tr><td>{key}{escape(system['name'])}{cells}")
    return f'<div class="wide"><table><tr><th>system{head}{"".join(lines)}</table></div>'


def _index(ids: Sequence[str], rows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """WER of every utterance and system, each a link to its place."""
    head = "".join(f"<th>{escape(name)}" for name in rows)
    lines = []
    for i in ids:
        cells = "".join(f"<td>{percent(table[i].get('wer'))}" for table in rows.values())
        text = next(iter(rows.values()))[i]["text"]
        lines.append(f'<tr><td><a href="#{escape(i)}">{escape(i)}</a> {escape(text[:70])}{cells}')
    table = f'<div class="wide"><table><tr><th>WER % of each utterance{head}{"".join(lines)}</table></div>'
    return f"<details><summary>utterances</summary>{table}</details>"


def _utterance(name: str, rows: Mapping[str, Mapping[str, Any]], clips: Mapping[str, Clip], view: View) -> str:
    text = next(iter(rows.values()))["text"]
    low, high = (float(np.percentile(np.concatenate([_shown(c).ravel() for c in clips.values()]), q)) for q in (1, 99.8))
    parts = [f'<h2 id="{escape(name)}">{escape(name)} <small>{escape(text)}</small></h2>']
    for (system, clip), key in zip(clips.items(), _keys(clips), strict=True):
        row = rows[system]
        heard = f"<p>heard: {escape(row['heard'])}" if row.get("heard") is not None else ""
        figures = [_mel(_shown(clip), "mel, ln", low, high)]
        figures += [_mel(prior, f"{which}, ln", *_limits(prior)) for which, prior in clip.priors.items()]
        side = f"<p><b>{key}{escape(system)}</b>{_player(clip)}<p>{escape(view.remark(row))}{heard}"
        parts.append(f'<div class="row"><div>{side}</div><div>{"".join(figures)}</div></div>')
    colours = zip(clips.items(), _colours(len(clips)), strict=True)
    tracks = [(clip.f0, colour) for (system, clip), colour in colours if system not in view.own_time]
    parts.append(f'<div class="row"><div><p><b>F0</b></div><div>{_f0_figure(tracks)}</div></div>')
    return "\n".join(parts)


def _shown(clip: Clip) -> Array:
    """The mel a model made, else that of the wave."""
    return clip.wave_mel if clip.mel is None else clip.mel


def _mel(mel: Array, caption: str, low: float, high: float) -> str:
    """A mel as an image of one pixel a value, stretched by the page."""
    file = io.BytesIO()
    imsave(file, mel, origin="lower", cmap="magma", vmin=low, vmax=high, format="png")
    source = base64.b64encode(file.getvalue()).decode()
    image = (
        f'<img alt="{escape(caption)}" style="width:{FRAME_WIDTH * mel.shape[1]:.0f}px" src="data:image/png;base64,{source}">'
    )
    return f"<figure>{image}<figcaption>{escape(caption)} from {low:.1f} to {high:.1f}</figcaption></figure>"


def _limits(mel: Array) -> tuple[float, float]:
    return float(mel.min()), float(max(mel.max(), mel.min() + 1e-3))


def _player(clip: Clip) -> str:
    """A player of the wave, lossless."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(clip.wav, -1, 1), clip.sample_rate, format="FLAC", subtype="PCM_16")
    source = base64.b64encode(file.getvalue()).decode()
    return f'<br><audio controls preload="none" src="data:audio/flac;base64,{source}"></audio>'


def _f0_figure(tracks: Sequence[tuple[Array, str]]) -> str:
    """F0 tracks over time, logarithmic, each in its colour."""
    voiced = np.concatenate([track[track > 0] for track, _ in tracks])
    if not len(voiced):
        return "<figure><figcaption>nothing is voiced</figcaption></figure>"
    low, high = np.log(voiced.min()) - 0.05, np.log(voiced.max()) + 0.05
    width = FRAME_WIDTH * max(len(track) for track, _ in tracks)
    lines = []
    for track, colour in tracks:
        for start, end in _runs(track > 0):
            y = F0_HEIGHT * (high - np.log(track[start:end])) / (high - low)
            points = " ".join(f"{FRAME_WIDTH * (start + i):.0f},{v:.1f}" for i, v in enumerate(y))
            lines.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linecap="round"/>'
            )
    drawing = f'<svg role="img" aria-label="F0" width="{width:.0f}" height="{F0_HEIGHT:.0f}">{"".join(lines)}</svg>'
    return f"<figure>{drawing}<figcaption>{np.exp(low):.0f} to {np.exp(high):.0f} Hz, logarithmic</figcaption></figure>"


def _runs(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], active, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _colours(count: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(count - 1)] + [RECORDINGS_COLOUR]


def _keys(systems: Sequence[Any] | Mapping[str, Any]) -> list[str]:
    """The coloured square of every system, the same in the table and in the figures."""
    return [f'<i class="key" style="background:{colour}"></i>' for colour in _colours(len(systems))]


def percent(rate: float | None) -> str:
    """A rate in whole percent, "–" where there is none."""
    return NOT_MEASURED if rate is None else f"{100 * rate:.0f}"
