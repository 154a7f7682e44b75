#!/usr/bin/env bash
# Faces with 40 binary attributes: a folder of CelebA that you have.
#
#   bash recipes/celeba/run.sh --db_root /data/celeba --profile paper --ngpu 1
#   bash recipes/celeba/run.sh --db_root /data/celeba --fast true
#   bash recipes/celeba/run.sh --help                        # every option with its default
set -euo pipefail

recipe=celeba data='' flips=true
generated="CelebA, whose licence its owners give: non-commercial research only."
# shellcheck source=recipes/common/image.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/image.sh" "$@"
