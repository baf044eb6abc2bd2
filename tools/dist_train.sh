#!/usr/bin/env bash
# Train on several GPUs of one or more machines; without a GPU, in as many
# processes on the CPU.
#
#   tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
#
# batch_size in a config is per GPU. On several machines run this on each of them
# with the same NNODES, MASTER_ADDR and PORT, and its own NODE_RANK.
# PYTHON chooses the interpreter.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of tools/train.py]" >&2
    exit 2
fi
config=$1 gpus=$2
shift 2
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
with_torchrun "$gpus" train.py "$config" "$@"
