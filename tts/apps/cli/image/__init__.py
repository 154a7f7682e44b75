"""Image representation models: train one, use it, measure it."""

import argparse
import importlib
import pkgutil
from types import ModuleType


def verbs() -> dict[str, ModuleType]:
    """What `glottis image` can do: the modules of this package by name, sorted."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    return {name.replace("_", "-"): importlib.import_module(f"{__name__}.{name}") for name in names}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `glottis image VERB` with the options of each."""
    group = parser.add_subparsers(dest="image_verb", required=True, metavar="VERB", title="verbs", help="what to do")
    for name, module in verbs().items():
        summary = (module.__doc__ or "").partition("\n")[0].replace("%", "%%")
        one = group.add_parser(name, help=summary, description=module.__doc__, formatter_class=parser.formatter_class)
        module.add_arguments(one)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    return int(verbs()[args.image_verb].run(args) or 0)
