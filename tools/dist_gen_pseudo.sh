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
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --nproc_per_node="$gpus" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    "$tools/gen_pseudo.py" "$config" "$checkpoint" --launcher pytorch "$@"
