#!/usr/bin/env bash
# One English voice, from recordings to a packed model that speaks.
#
#   bash recipes/ljspeech/run.sh                          # mini model on the embedded corpus, on a CPU
#   bash recipes/ljspeech/run.sh --profile base --ngpu 1  # the paper's size on LJSpeech, which it downloads
#   bash recipes/ljspeech/run.sh --db_root /data/my_voice # a folder in LJSpeech layout
#   bash recipes/ljspeech/run.sh --help                   # every option with its default
set -euo pipefail

recipe=ljspeech
# shellcheck source=recipes/common/tts.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/tts.sh" "$@"
