#!/usr/bin/env bash
# Scenes of one object in a room, six known factors (the grid of Shapes3D), drawn on the fly: no download.
#
#   bash recipes/shapes/run.sh                               # EncDiff, mini, on a CPU: an hour at most
#   bash recipes/shapes/run.sh --method pdae --fast true     # PDAE and its base, a few minutes
#   bash recipes/shapes/run.sh --profile paper --ngpu 1      # the papers' sizes at 64 pixels
#   bash recipes/shapes/run.sh --help                        # every option with its default
set -euo pipefail

recipe=shapes data=shapes
generated="Generated scenes (Glottis, Apache-2.0); the grid of factors is that of Shapes3D."
# shellcheck source=recipes/common/image.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/image.sh" "$@"
