#!/usr/bin/env bash
# Write CAM files and pseudo masks on several GPUs of one or more machines; without a
# GPU, in as many processes on the CPU. The files are those of a single process.
#
#   tools/dist_gen_pseudo.sh CONFIG CHECKPOINT GPUS [arguments of tools/gen_pseudo.py]
#
# NNODES, NODE_RANK, MASTER_ADDR, PORT and PYTHON are those of dist_train.sh.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of tools/gen_pseudo.py]" >&2
    exit 2
fi
config=$1 checkpoint=$2 gpus=$3
shift 3
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
with_torchrun "$gpus" gen_pseudo.py "$config" "$checkpoint" "$@"
