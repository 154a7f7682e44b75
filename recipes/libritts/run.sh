#!/usr/bin/env bash
# Voice conversion on audiobooks: LibriTTS, ten readers of which are kept for zero-shot conversion.
#
#   bash recipes/libritts/run.sh --profile small --ngpu 1                             # downloads train-clean-100
#   bash recipes/libritts/run.sh --parts "train-clean-100 train-clean-360" --tag 460  # or more
#   bash recipes/libritts/run.sh --db_root /data/LibriTTS/train-clean-100             # a LibriTTS that is there already
#   bash recipes/libritts/run.sh --help                                               # every option with its default
set -euo pipefail

recipe=libritts
default_corpus=libritts
defaults=(--unseen_speakers 10 --num_dev 100 --num_eval 400)
# shellcheck source=recipes/common/vc.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/vc.sh" "$@"
