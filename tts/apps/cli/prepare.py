"""Prepare data: read a corpus, extract features, check and filter them, measure statistics, draw pairs, fetch an archive."""

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
    _add_corpus(actions.add_parser("corpus", help="corpus folder -> Kaldi directories train, dev, eval"))
    _add_features(actions.add_parser("features", help="Kaldi directory -> mel, F0 and phones of every utterance"))
    _add_validate(actions.add_parser("validate", help="check a Kaldi directory, or filter a features folder"))
    _add_statistics(actions.add_parser("statistics", help="token table, mel and F0 statistics of a features folder"))
    _add_pairs(actions.add_parser("pairs", help="Kaldi directories -> pairs of a source and a target to convert"))


def run(args: argparse.Namespace) -> int:
    """Carry out one action; the exit status."""
    actions = {
        "download": _run_download,
        "corpus": _run_corpus,
        "features": _run_features,
        "validate": _run_validate,
        "statistics": _run_statistics,
        "pairs": _run_pairs,
    }
    return actions[args.action](args)


def _add_download(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="a known archive, for example ljspeech")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the corpus folder is to lie")


def _run_download(args: argparse.Namespace) -> int:
    from tts.data.download import fetch_corpus

    print(fetch_corpus(args.name, args.out))
    return 0


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, nargs="+", metavar="DIR", help="corpus folder(s); default: the embedded corpus")
    parser.add_argument("--layout", default="auto", help="auto, ljspeech, arctic, vctk or folders")
    parser.add_argument("--speaker", help="who speaks a corpus that names no speaker; default: the folder's name")
    parser.add_argument("--keep-speaker", metavar="NAME", help="only this speaker; main: the one with most utterances")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets train/, dev/ and eval/")
    parser.add_argument("--holdout-every", type=int, default=0, metavar="N", help="every Nth sentence is for evaluation")
    parser.add_argument("--eval", type=int, default=0, metavar="COUNT", help="or: this many sentences are for evaluation")
    parser.add_argument("--dev", type=int, default=0, metavar="COUNT", help="this many sentences are for development")


def _run_corpus(args: argparse.Namespace) -> int:
    from tts.data.corpora import EMBEDDED_CORPUS, keep_speaker, read_corpus
    from tts.data.kaldi_dir import write_kaldi_dir
    from tts.data.splits import split_utterances

    roots = args.root or [EMBEDDED_CORPUS]
    utterances = [utterance for root in roots for utterance in read_corpus(root, args.layout, args.speaker)]
    if args.keep_speaker:
        utterances = keep_speaker(utterances, args.keep_speaker)
    sets = split_utterances(utterances, holdout_every=args.holdout_every, n_eval=args.eval, n_dev=args.dev)
    for name, members in sets.items():
        write_kaldi_dir(args.out / name, members)
        print(f"{args.out / name}: {len(members)} utterances, {len({u.speaker for u in members})} speaker(s)")
    return 0


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
