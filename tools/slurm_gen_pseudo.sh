#!/usr/bin/env bash
# Write CAM files and pseudo masks on the GPUs of a Slurm cluster.
#
#   GPUS=8 tools/slurm_gen_pseudo.sh PARTITION JOB_NAME CONFIG CHECKPOINT \
#       [arguments of tools/gen_pseudo.py]
#
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PYTHON are those of
# slurm_train.sh.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG CHECKPOINT" \
        "[arguments of tools/gen_pseudo.py]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
partition=$1 job=$2
shift 2
with_srun "$partition" "$job" gen_pseudo.py "$@"
