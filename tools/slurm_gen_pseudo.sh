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
partition=$1 job=$2 config=$3 checkpoint=$4
shift 4
gpus=${GPUS:-4}
per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
# SRUN_ARGS is left unquoted: it is a list of words.
exec srun --partition="$partition" --job-name="$job" \
    --ntasks="$gpus" \
    --ntasks-per-node="$per_node" \
    --gres="gpu:$per_node" \
    --cpus-per-task="${CPUS_PER_TASK:-4}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    "${PYTHON:-python}" -u "$tools/gen_pseudo.py" "$config" "$checkpoint" \
    --launcher slurm "$@"
