#!/usr/bin/env bash
# White sprites on black, five known factors (the grid of dSprites), drawn on the fly: no download.
#
#   bash recipes/sprites/run.sh --method factorvae           # mini, on a CPU: an hour at most
#   bash recipes/sprites/run.sh --fast true                  # EncDiff, a few minutes
#   bash recipes/sprites/run.sh --help                       # every option with its default
set -euo pipefail

recipe=sprites data=sprites
generated="Generated sprites (Glottis, Apache-2.0); the grid of factors is that of dSprites."
# shellcheck source=recipes/common/image.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/image.sh" "$@"
