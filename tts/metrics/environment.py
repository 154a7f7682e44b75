"""What figures depend on beside the model: versions and the commit."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from tts import __version__


def versions() -> dict[str, str]:
    """Versions that figures depend on; packages that are not installed are left out."""
    found = {"glottis": __version__, "python": platform.python_version()}
    for package in (
        "torch",
        "torchaudio",
        "numpy",
        "librosa",
        "pyworld",
        "jiwer",
        "faster-whisper",
        "ctranslate2",
        "Resemblyzer",
    ):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_hash() -> str:
    """The commit of this checkout, with "and changes" where files differ from it; "no checkout" elsewhere."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "no checkout"
    try:
        commit = _git(root, "rev-parse", "--short", "HEAD")
        return f"{commit} and changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return "no checkout"


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
