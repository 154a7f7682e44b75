#!/usr/bin/env bash
# Makes the environment that everything here runs in. A second run finds its stamp and ends at once, without network.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
default_extras=train,phonemes,eval,asr,similarity
extras=$default_extras
known=train,phonemes,eval,asr,content,clip,similarity,image,features,test,dev
cuda=false
needed_gb=8

usage() {
  cat <<HELP
usage: tools/install.sh [--extras LIST] [--cuda] [--help]

  --extras LIST   groups of pyproject.toml, joined by commas (default $default_extras; known $known)
  --cuda          end with an error unless PyTorch finds a CUDA device

With and without --cuda the same packages are installed: PyPI's torch for Linux runs on CPU and CUDA, and its torchaudio
does not import beside a CPU-only torch. Environment variables: GLOTTIS_VENV, where the environment lies (default .venv
beside pyproject.toml); GLOTTIS_PYTHON, the interpreter that makes it (default: the first of python3, python3.13,
python3.12, python3.11 that is 3.11 or newer).
HELP
}

die() {
  printf 'tools/install.sh: %s\n' "$*" >&2
  exit 1
}

usage_error() {
  printf 'tools/install.sh: %s\n\n' "$*" >&2
  usage >&2
  exit 2
}

find_python() {
  local name seen=""
  for name in ${GLOTTIS_PYTHON:+"$GLOTTIS_PYTHON"} python3 python3.13 python3.12 python3.11; do
    command -v "$name" >/dev/null 2>&1 || continue
    if "$name" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      printf '%s\n' "$name"
      return
    fi
    seen="$seen $name is $("$name" -I -c 'import platform; print(platform.python_version())');"
    [ -z "${GLOTTIS_PYTHON:-}" ] || break
  done
  die "needs Python 3.11 or newer;${seen:- found none;} install one, or name it: GLOTTIS_PYTHON=/path/to/python3.12 bash tools/install.sh"
}

check_disk() {
  local folder=$1 free_gb
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  free_gb=$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1048576) }')
  [ "$free_gb" -ge "$needed_gb" ] || die "needs $needed_gb GB of disk for PyTorch and its libraries; $folder has $free_gb GB free. Make room, or put the environment elsewhere: GLOTTIS_VENV=/other/disk/glottis bash tools/install.sh"
}

fingerprint() { # of what is installed, and where: pyproject.toml before its settings of tools
  { sed '/^\[tool\./,$d' "$root/pyproject.toml" && printf '%s\n' "$root"; } | { sha256sum 2>/dev/null || shasum -a 256; } | cut -d ' ' -f 1
}

is_complete() { # the stamp: the fingerprint on its first line, then one installed extra a line
  local extra first
  [ -x "$python" ] && [ -f "$stamp" ] || return 1
  read -r first <"$stamp"
  [ "$first" = "$(fingerprint)" ] || return 1
  for extra in ${extras//,/ }; do grep -qx -- "$extra" "$stamp" || return 1; done
}

check_imports() {
  "$python" -W ignore -c 'import torch, torchaudio, soundfile, pyworld' ||
    die "installed, but the lines above show a package that does not import. A CPU-only torch beside the registry's torchaudio is the usual cause: remove $venv and run this again, or see Install in README.md."
}

while [ $# -gt 0 ]; do
  case $1 in
    --extras) [ $# -gt 1 ] || usage_error "--extras needs a value"; extras=$2; shift 2 ;;
    --extras=*) extras=${1#*=}; shift ;;
    --cuda) cuda=true; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error "unknown argument $1" ;;
  esac
done
for extra in ${extras//,/ }; do
  case ",$known," in *",$extra,"*) ;; *) usage_error "unknown extra $extra; known: $known" ;; esac
done

venv=${GLOTTIS_VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac
python=$venv/bin/python
stamp=$venv/glottis-installed

if ! is_complete; then
  if ! "$python" -m pip --version >/dev/null 2>&1; then
    check_disk "$venv"
    base=$(find_python)
    "$base" -I -c 'import venv, ensurepip' 2>/dev/null ||
      die "$base has no venv module. On Debian and Ubuntu: apt-get install python3-venv. Then run this again."
    "$base" -m venv --clear "$venv"
  fi
  [ ! -f "$stamp" ] || extras=$(sed 1d "$stamp" | paste -sd , -),$extras
  "$python" -m pip install --disable-pip-version-check --progress-bar off --editable "${root}[${extras}]" ||
    die "pip could not install; its message is above. No network: run this again when there is one. No compiler (pyworld is compiled): Debian and Ubuntu: apt-get install g++; macOS: xcode-select --install."
  check_imports
  { fingerprint && printf '%s\n' "$extras" | tr , '\n' | sort -u; } >"$stamp.part"
  mv "$stamp.part" "$stamp"
  printf 'tools/install.sh: ready in %s\n' "$venv"
fi

if [ "$cuda" = true ]; then
  "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
    die "--cuda asked for, but PyTorch finds no CUDA device. Check nvidia-smi and the driver's version; everything else is installed and runs on the CPU."
fi
