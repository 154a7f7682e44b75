"""The command `glottis VERB`: one module beside this one per verb, imported only when its verb is asked for.

Exit status: 0 done, 1 an input or its use is at fault, 2 the command line is, 130 interrupted.
"""

import argparse
import ast
import difflib
import importlib
import importlib.util
import logging
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType, TracebackType

from tts import __version__
from tts.errors import GlottisError

INTERRUPTED = 130


def verbs() -> list[str]:
    """The verbs there are, sorted: the modules of this package, `train_vocoder` as train-vocoder."""
    return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def build_parser(verb: str) -> tuple[argparse.ArgumentParser, ModuleType]:
    """The argument parser of one verb, and the module that carries it out with `run(args)`."""
    module = importlib.import_module(_module_name(verb))
    parser = argparse.ArgumentParser(prog=f"glottis {verb}", description=module.__doc__, formatter_class=_HelpFormatter)
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")
    module.add_arguments(parser)
    return parser, module


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line (by default the process's own) and give its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    traceback = words[:1] == ["--traceback"]
    words = words[traceback:]
    if not words or words[0].startswith("-"):
        _front_page().parse_args(words or ["--help"])
    if words[0] not in verbs():
        nearest = difflib.get_close_matches(words[0], verbs(), n=1)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        _front_page().error(f"no verb {words[0]!r}.{hint} Verbs: {', '.join(verbs())}.")
    _start_logging()
    parser, module = build_parser(words[0])
    args = parser.parse_args(words[1:])
    return _run(module, args, prog=parser.prog, traceback=traceback or args.traceback)


def _start_logging() -> None:
    """Our own messages from INFO up, those of other packages from WARNING up, each with its time on stderr."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.name.startswith("tts.") or record.levelno >= logging.WARNING)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S", handlers=[handler])
    logging.getLogger("tts").setLevel(logging.INFO)


def _module_name(verb: str) -> str:
    return f"{__name__}.{verb.replace('-', '_')}"


def _run(module: ModuleType, args: argparse.Namespace, *, prog: str, traceback: bool) -> int:
    try:
        return int(module.run(args) or 0)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (GlottisError, OSError) as err:
        status, message = 1, str(err)
        if traceback:
            raise
    except ValueError as err:  # an argument out of its range is ours; any other is a bug, and is shown whole
        status, message = 2, str(err)
        if traceback or not _raised_in_tts(err.__traceback__):
            raise
    print(f"{prog}: {message}", file=sys.stderr)
    return status


def _raised_in_tts(traceback: TracebackType | None) -> bool:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith("tts.")


def _front_page() -> argparse.ArgumentParser:
    width = max(map(len, verbs())) + 2
    listing = "\n".join(f"  {verb:<{width}}{_summary(verb)}" for verb in verbs())
    parser = argparse.ArgumentParser(
        prog="glottis",
        usage="glottis [--version] [--traceback] VERB ...",
        description="Speech synthesis with source-filter diffusion priors.",
        epilog=f"verbs:\n{listing}\n\n'glottis VERB --help' shows what a verb takes, with its defaults.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"glottis {__version__}")
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")
    return parser


def _summary(verb: str) -> str:
    """The first line of a verb's module, without importing it."""
    spec = importlib.util.find_spec(_module_name(verb))
    source = spec.loader.get_source(spec.name) if spec and spec.loader else None  # type: ignore[attr-defined]
    return (ast.get_docstring(ast.parse(source or "")) or "").partition("\n")[0]


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help with the default behind every option that has one worth showing."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        nothing = action.default is False or action.default in (None, "", argparse.SUPPRESS, [])
        if nothing or "%(default)" in text or not action.option_strings:
            return text
        return f"{text} (default %(default)s)"
