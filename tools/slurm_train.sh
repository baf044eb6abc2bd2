#!/usr/bin/env bash
# Train on the GPUs of a Slurm cluster.
#
#   GPUS=8 tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of tools/train.py]
#
# batch_size in a config is per GPU. GPUS counts all machines, GPUS_PER_NODE one;
# SRUN_ARGS holds further options of srun, PYTHON the interpreter.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG [arguments of tools/train.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
partition=$1 job=$2
shift 2
with_srun "$partition" "$job" train.py "$@"
