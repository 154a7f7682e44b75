"""A corpus, or several of different layouts in one, as a list of utterances."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tts.data.files import check_id, some
from tts.data.layouts import LAYOUTS, detect_layout, identifier
from tts.data.manifest import Utterance
from tts.errors import DataError, SpeakerError

EMBEDDED_CORPUS = Path(__file__).parents[1] / "assets" / "corpus"  # LJSpeech layout with a speaker column


def read_corpus(root: Path, layout: str = "auto", speaker: str | None = None) -> list[Utterance]:
    """All utterances of a corpus, in the corpus's own order; audio paths are absolute.

    Args:
        root: folder of the corpus.
        layout: a name of `LAYOUTS`, or "auto" to look at the folder.
        speaker: who speaks a corpus that names no speaker (ljspeech); by default the folder's name.

    Raises:
        DataError: if the folder, a transcript or an audio file is missing, a line cannot be read, or an id comes twice.
    """
    root = root.resolve()
    if not root.is_dir():
        raise DataError(f"{root}: no such folder. Give the folder that holds the corpus.")
    name = detect_layout(root) if layout == "auto" else layout
    if name not in LAYOUTS:
        raise DataError(f"layout {name!r} is not known. Known layouts: auto, {', '.join(LAYOUTS)}.")
    utterances = LAYOUTS[name](root, identifier(speaker or root.name))
    if not utterances:
        raise DataError(f"{root}: the {name} layout finds no utterance here.")
    seen: set[str] = set()
    twice = [u.id for u in utterances if u.id in seen or seen.add(u.id)]  # type: ignore[func-returns-value]
    if twice:
        raise DataError(f"{root}: ids come more than once: {some(twice)}. Rename the files or lines.")
    for utterance in utterances:
        check_id(utterance.id, str(root))
        check_id(utterance.speaker, str(root))
    return utterances


def read_corpora(roots: Sequence[Path], layout: str = "auto", speaker: str | None = None) -> list[Utterance]:
    """The utterances of several corpora, one after the other; with layout "auto" each may have its own.

    A speaker of one corpus is nobody of another, except `speaker`, who is the same person wherever a corpus names none.

    Raises:
        DataError: if two corpora share an id or a speaker, or as `read_corpus` does.
    """
    utterances: list[Utterance] = []
    root_of_id: dict[str, Path] = {}
    root_of_speaker: dict[str, Path] = {}
    for root in roots:
        members = read_corpus(root, layout, speaker)
        _refuse_shared(root, root_of_id, [u.id for u in members], "utterance ids", "clips")
        names = sorted({u.speaker for u in members} - ({identifier(speaker)} if speaker else set()))
        _refuse_shared(root, root_of_speaker, names, "speakers", "speaker or corpus folder")
        root_of_id |= dict.fromkeys((u.id for u in members), root)
        root_of_speaker |= dict.fromkeys(names, root)
        utterances += members
    return utterances


def keep_speakers(utterances: list[Utterance], names: Sequence[str]) -> list[Utterance]:
    """The utterances of some speakers, in order; "main" is the one with the most utterances (the first of equals).

    Raises:
        SpeakerError: if nobody of such a name speaks.
    """
    counts = Counter(utterance.speaker for utterance in utterances)
    chosen = {max(counts, key=lambda speaker: counts[speaker]) if name == "main" else name for name in names}
    require_speakers(utterances, chosen)
    return [utterance for utterance in utterances if utterance.speaker in chosen]


def require_speakers(utterances: list[Utterance], names: Sequence[str] | set[str]) -> None:
    """Nothing, if everyone named speaks.

    Raises:
        SpeakerError: naming who does not, and who does.
    """
    known = {utterance.speaker for utterance in utterances}
    if unknown := sorted(set(names) - known):
        raise SpeakerError(f"no speaker {', '.join(map(repr, unknown))}; the corpus has {some(sorted(known))}.")


def _refuse_shared(root: Path, root_of: dict[str, Path], names: list[str], what: str, rename: str) -> None:
    shared = [name for name in names if name in root_of]
    if shared:
        raise DataError(
            f"{root} and {root_of[shared[0]]}: both have the {what} {some(shared)}, which would become one. "
            f"Rename the {rename} of one of them, and give no corpus twice."
        )
