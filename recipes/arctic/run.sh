#!/usr/bin/env bash
# Voices that become each other: conversion among several speakers, and text in each of their voices.
#
#   bash recipes/arctic/run.sh                              # mini model on the embedded corpus's five voices, on a CPU
#   bash recipes/arctic/run.sh --corpus arctic              # four voices of CMU ARCTIC, which it downloads
#   bash recipes/arctic/run.sh --db_root /data/my_voices    # SPEAKER/*.wav with *.txt beside, or any other layout
#   bash recipes/arctic/run.sh --help                       # every option with its default
set -euo pipefail

recipe=arctic
# shellcheck source=recipes/common/vc.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common/vc.sh" "$@"
