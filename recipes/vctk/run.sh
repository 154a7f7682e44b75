#!/usr/bin/env bash
# Voice conversion on the 110 English speakers of VCTK 0.92, ten of whom are kept for zero-shot conversion.
#
#   bash recipes/vctk/run.sh --profile small --ngpu 1    # downloads VCTK
#   bash recipes/vctk/run.sh --db_root /data/VCTK        # a VCTK that is there already
#   bash recipes/vctk/run.sh --help                      # every option with its default
set -euo pipefail

recipe=vctk
default_corpus=vctk
defaults=(--unseen_speakers 10 --min_clips 50 --num_dev 100 --num_eval 400)
# shellcheck source=recipes/common/vc.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/vc.sh" "$@"
