"""Make an LJSpeech-layout folder of real speech from Debian's Asterisk core sounds.

The prompts of a telephone exchange, recorded in a studio by Allison Smith: one speaker, true texts, 16 kHz, CC BY-SA 3.0.
Nothing is installed and no root is needed: the two packages (11 MB) are fetched with `apt-get download` and unpacked into
a temporary folder. Decoding G.722 takes PyPI's `av` or the program `ffmpeg`. A finished folder is left as it is::

    python tools/make_asterisk.py --out data/asterisk
"""

import argparse
import gzip
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

PACKAGES = ("asterisk-core-sounds-en-g722", "asterisk-core-sounds-en")
SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
LICENCE = "usr/share/doc/asterisk-core-sounds-en-g722/copyright"
RATE = 16000
SKIPPED_FOLDERS = ("silence/", "letters/", "digits/", "phonetic/")
UNSPOKEN = re.compile(r"[\[<(*#]|www\.|\d[A-Z]")  # tones, remarks, key symbols, addresses: not what is said


def run(command: list[str], cwd: Path, advice: str) -> None:
    """Run a command; if it fails, stop with what it said and what to do."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        sys.exit(f"{' '.join(command)}: expected exit status 0, found {done.returncode}; it said: {said[-1]}\n{advice}")


def unpack(packages: Path | None, folder: Path) -> None:
    """Unpack the two packages into a folder, from a folder of .debs or, if that is None, after fetching them."""
    for program in ("dpkg-deb",) if packages else ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            sys.exit(
                f"{program}: found no such program, expected one on PATH (Debian or Ubuntu)\n"
                f"Fetch the .debs of {' and '.join(PACKAGES)} on such a machine and give their folder as --debs, "
                "or train on the embedded corpus"
            )
    if not packages:
        advice = "Run `apt-get update` as root; see that the network is there and the sources have Debian's main"
        run(["apt-get", "download", *PACKAGES], folder, advice)
    for name in PACKAGES:
        debs = sorted((packages or folder).glob(f"{name}_*.deb"))
        if not debs:
            sys.exit(f"{packages or folder}: found no {name}_*.deb, expected one; fetch it with `apt-get download {name}`")
        run(["dpkg-deb", "-x", str(debs[-1].resolve()), str(folder)], folder, "The file is damaged: fetch it again")


def read_texts(file: Path) -> dict[str, str]:
    """Read `name: text` lines; keep what has at least three words and is said as written."""
    texts = {}
    for line in gzip.decompress(file.read_bytes()).decode("utf-8").splitlines():
        name, _, text = line.partition(":")
        text = " ".join(text.strip(" .").split()) + ("." if text.rstrip().endswith(".") else "")
        if not line.startswith((";", *SKIPPED_FOLDERS)) and len(text.split()) >= 3 and not UNSPOKEN.search(text):
            texts[name.strip()] = text.replace("|", " ")
    return texts


def decode(file: Path) -> np.ndarray:
    """Decode G.722 to mono int16 at 16 kHz."""
    if importlib.util.find_spec("av"):
        import av

        with av.open(str(file), format="g722") as container:
            return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(file), "-f", "s16le", "-ac", "1", "-ar", str(RATE), "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, dtype="<i2")


def main() -> None:
    """Make the folder from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to make: metadata.csv and wavs/*.flac")
    parser.add_argument("--debs", type=Path, help="folder that holds the two .debs already (default: fetch them)")
    parser.add_argument("--max-seconds", type=float, default=15.0, help="leave out longer prompts (%(default)s)")
    args = parser.parse_args()
    out: Path = args.out
    if (out / "metadata.csv").is_file():
        print(f"{out}: is made already")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        sys.exit(f"{out}: found other files and no metadata.csv, expected no such folder or an empty one; give another --out")
    if not importlib.util.find_spec("av") and not shutil.which("ffmpeg"):
        sys.exit("G.722: found neither the package `av` nor the program `ffmpeg`, expected one to decode; run `pip install av`")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as temporary:
        packages, made = Path(temporary, "packages"), Path(temporary, "made")
        packages.mkdir()
        (made / "wavs").mkdir(parents=True)
        unpack(args.debs, packages)
        rows, seconds = [], 0.0
        for name, text in sorted(read_texts(packages / TEXTS).items()):
            file = packages / SOUNDS / f"{name}.g722"
            if file.is_file() and 2 * file.stat().st_size <= args.max_seconds * RATE:  # two samples a byte
                clip, wave = name.replace("/", "-"), decode(file)
                soundfile.write(made / "wavs" / f"{clip}.flac", wave, RATE)
                rows.append(f"{clip}|{text}|{text}|allison\n")
                seconds += len(wave) / RATE
        if not rows:
            sys.exit(f"{PACKAGES[0]}: found no prompt in {SOUNDS}, expected about 250; report this and the package's version")
        shutil.copy(packages / LICENCE, made / "LICENSE")
        (made / "metadata.csv").write_text("".join(rows), encoding="utf-8")
        made.replace(out)
    print(f"{out}: {len(rows)} clips, {seconds / 60:.1f} minutes, 1 speaker (CC BY-SA 3.0, see its LICENSE)")


if __name__ == "__main__":
    main()
