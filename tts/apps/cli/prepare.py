"""Prepare data: corpora, features, content, filters, statistics, pairs to convert, downloads."""

import argparse
import logging
from pathlib import Path

from tts.config import AUDIO_CONFIGS
from tts.errors import DataError

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions of `glottis prepare` and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", help="what to do")
    _add_download(actions.add_parser("download", help="fetch and unpack a known corpus"))
    _add_corpus(actions.add_parser("corpus", help="corpus folder -> Kaldi directories of its sets"))
    _add_features(actions.add_parser("features", help="Kaldi directory -> mel, F0 and phones of every utterance"))
    _add_validate(actions.add_parser("validate", help="check a Kaldi directory, or filter a features folder"))
    _add_content(actions.add_parser("content", help="content features of every utterance, of clean and of perturbed audio"))
    _add_statistics(actions.add_parser("statistics", help="token table, mel and F0 statistics of a features folder"))
    _add_pairs(actions.add_parser("pairs", help="Kaldi directories -> pairs of a source and a target to convert"))


def run(args: argparse.Namespace) -> int:
    """Carry out one action; the exit status."""
    actions = {
        "download": _run_download,
        "corpus": _run_corpus,
        "features": _run_features,
        "validate": _run_validate,
        "content": _run_content,
        "statistics": _run_statistics,
        "pairs": _run_pairs,
    }
    return actions[args.action](args)


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="a known archive: ljspeech, arctic_VOICE, vctk or libritts_SUBSET"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets a folder NAME for each")


def _run_download(args: argparse.Namespace) -> int:
    from tts.data.download import fetch_corpus

    for name in args.names:
        print(fetch_corpus(name, args.out))
    return 0


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, nargs="+", metavar="DIR", help="corpus folder(s); default: the embedded corpus")
    parser.add_argument("--layout", default="auto", help="auto, ljspeech, arctic, vctk, libritts or folders")
    parser.add_argument("--speaker", help="who speaks a corpus that names no speaker; default: the folder's name")
    parser.add_argument(
        "--keep-speaker", nargs="+", metavar="NAME", help="only these speakers; main: the one with most utterances"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets train/, dev/, eval/, unseen/ …")
    parser.add_argument("--holdout-every", type=int, default=0, metavar="N", help="every Nth sentence is for evaluation")
    parser.add_argument("--eval", type=int, default=0, metavar="COUNT", help="or: this many sentences are for evaluation")
    parser.add_argument("--dev", type=int, default=0, metavar="COUNT", help="this many sentences are for development")
    parser.add_argument(
        "--unseen-speakers",
        nargs="+",
        default=[],
        metavar="NAME|COUNT",
        help="these speakers go whole into unseen/, never into training; a number: so many, those with the fewest clips",
    )
    parser.add_argument("--min-clips", type=int, default=0, metavar="N", help="so do speakers with fewer than N clips")
    parser.add_argument(
        "--untranscribed", action="store_true", help="keep clips without text, in untranscribed/; default: left out"
    )


def _run_corpus(args: argparse.Namespace) -> int:
    from tts.data.corpora import EMBEDDED_CORPUS, keep_speakers, read_corpora
    from tts.data.kaldi_dir import remove_kaldi_dir, write_kaldi_dir
    from tts.data.splits import SETS, split_corpus

    utterances = read_corpora(args.root or [EMBEDDED_CORPUS], args.layout, args.speaker)
    if args.keep_speaker:
        utterances = keep_speakers(utterances, args.keep_speaker)
    unseen = _names_or_count(args.unseen_speakers, {u.speaker for u in utterances})
    sets = split_corpus(
        utterances,
        unseen=unseen,
        min_clips=args.min_clips,
        holdout_every=args.holdout_every,
        n_eval=args.eval,
        n_dev=args.dev,
    )
    left_out = [] if args.untranscribed else sets.pop("untranscribed", [])
    if left_out:
        logger.warning("%d clips without text are left out; --untranscribed keeps them in a set of their own", len(left_out))
    if not sets:
        raise DataError("no clip has a text to learn from. Add texts, or keep the clips for conversion with --untranscribed.")
    for name in SETS:
        if name not in sets:
            remove_kaldi_dir(args.out / name)  # of an earlier call
            continue
        write_kaldi_dir(args.out / name, sets[name])
        print(f"{args.out / name}: {len(sets[name])} utterances, {len({u.speaker for u in sets[name]})} speaker(s)")
    return 0


def _names_or_count(words: list[str], speakers: set[str]) -> list[str] | int:
    """One whole number is a count, anything else are names."""
    if len(words) != 1 or not words[0].isdecimal():
        return words
    if words[0] in speakers:
        raise ValueError(
            f"--unseen-speakers {words[0]}: a count, or the speaker of that name? For the speaker give the name twice."
        )
    return int(words[0])


def _add_features(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="Kaldi directory")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="features folder")
    parser.add_argument("--audio", choices=sorted(AUDIO_CONFIGS), default="libri16k", help="mel contract")
    parser.add_argument("--frontend", default="espeak", help="espeak or characters")
    parser.add_argument("--f0-method", choices=["dio", "harvest"], default="dio", help="F0 extractor")
    parser.add_argument("--f0-min", type=float, default=65.0, metavar="HZ", help="lowest F0 looked for")
    parser.add_argument("--f0-max", type=float, default=500.0, metavar="HZ", help="highest F0 looked for")
    parser.add_argument("--no-trim", action="store_true", help="keep leading and trailing silence")
    parser.add_argument("--nj", type=int, default=1, metavar="N", help="worker processes")
    parser.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="do the Ith of N parts, write no manifest")


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a shard; expected I/N with 1 <= I <= N, such as 2/8")
    return int(part), int(parts)


def _run_features(args: argparse.Namespace) -> int:
    from tts.data.features import FeatureSettings, prepare_features
    from tts.data.kaldi_dir import read_kaldi_dir

    settings = FeatureSettings(
        audio=AUDIO_CONFIGS[args.audio],
        f0_method=args.f0_method,
        f0_min=args.f0_min,
        f0_max=args.f0_max,
        trim=not args.no_trim,
    )
    utterances = read_kaldi_dir(args.data)
    rows = prepare_features(utterances, args.out, settings, args.frontend, n_jobs=args.nj, shard=args.shard)
    if args.shard[1] > 1:
        print(f"{args.out}: shard {args.shard[0]} of {args.shard[1]} done; run once without --shard when all are")
    else:
        minutes = sum(row.seconds for row in rows) / 60
        print(f"{args.out}: {len(rows)} utterances, {minutes:.1f} minutes")
    return 0


def _add_validate(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, metavar="DIR", help="Kaldi directory to check")
    what.add_argument("--features", type=Path, metavar="DIR", help="features folder to filter")
    parser.add_argument("--fix", action="store_true", help="with --data: sort, drop bad rows, rebuild spk2utt (keeps .backup)")
    parser.add_argument("--allow-missing-text", action="store_true", help="utterances without text are fine")
    parser.add_argument("--min-seconds", type=float, default=0.1, help="with --features: shorter utterances are dropped")
    parser.add_argument("--max-seconds", type=float, default=20.0, help="with --features: longer utterances are dropped")


def _run_validate(args: argparse.Namespace) -> int:
    from tts.data.kaldi_dir import fix_kaldi_dir
    from tts.data.validate import FilterLimits, filter_features, validate_kaldi_dir

    if args.features:
        text = not args.allow_missing_text
        limits = FilterLimits(min_seconds=args.min_seconds, max_seconds=args.max_seconds, require_text=text)
        print(filter_features(args.features, limits).summary())
        return 0
    problems, unusable = validate_kaldi_dir(args.data, require_text=not args.allow_missing_text)
    print("\n".join(problems) or f"{args.data}: no problem found")
    if not problems:
        return 0
    if not args.fix:
        raise DataError(f"{args.data}: {len(problems)} problem(s). Mend them by hand or with --fix.")
    print(fix_kaldi_dir(args.data, unusable)[-1])
    return 0


def _add_content(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="features folder; gets content/")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--recognizer", type=Path, metavar="DIR", help="folder of a phone recogniser, for posteriors")
    what.add_argument("--ssl", choices=["xlsr", "hubert"], help="or a self-supervised network (extra: content)")
    parser.add_argument("--ssl-model", default="", metavar="NAME", help="its folder or hub name; default: the published one")
    parser.add_argument("--versions", type=int, default=3, help="of each utterance: one clean, the others perturbed")
    parser.add_argument("--seed", type=int, default=0, help="of the perturbations")
    parser.add_argument("--nj", type=int, default=1, metavar="N", help="worker processes")


def _run_content(args: argparse.Namespace) -> int:
    from tts.data.content_file import ContentKind
    from tts.speech.content_stage import ContentSettings, prepare_content

    kind, source = (ContentKind(args.ssl), args.ssl_model) if args.ssl else (ContentKind.ppg, str(args.recognizer))
    settings = ContentSettings(kind=kind, source=source, versions=args.versions, seed=args.seed)
    info = prepare_content(args.features, settings, n_jobs=args.nj)
    print(f"{args.features}: {info.kind.value} content, {info.dim} rows, {info.versions} version(s) of every utterance")
    return 0


def _add_statistics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--features", type=Path, required=True, metavar="DIR", help="features folder of the training set")


def _run_statistics(args: argparse.Namespace) -> int:
    from tts.data.statistics import compute_statistics

    tokens, statistics = compute_statistics(args.features)
    print(f"{len(tokens)} tokens; mel mean {statistics.mel_mean:.3f}, deviation {statistics.mel_std:.3f} (ln)")
    for name, f0 in statistics.speakers.items():
        print(f"  {name}: ln F0 {f0.mean:.3f} ± {f0.std:.3f}")
    return 0


def _add_pairs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help="Kaldi directories of the speakers")
    parser.add_argument(
        "--n", type=int, default=60, metavar="COUNT", help="how many, evenly over the ordered pairs of speakers"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="name, source wave and target wave a line")


def _run_pairs(args: argparse.Namespace) -> int:
    from tts.data.kaldi_dir import read_kaldi_dir
    from tts.data.pairs import make_pairs, write_pairs

    utterances = [utterance for folder in args.data for utterance in read_kaldi_dir(folder)]
    write_pairs(args.out, make_pairs(utterances, args.n, args.seed))
    print(f"{args.out}: {args.n} pairs of {len({u.speaker for u in utterances})} speakers")
    return 0
