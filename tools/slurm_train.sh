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
partition=$1 job=$2 config=$3
shift 3
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
    "${PYTHON:-python}" -u "$tools/train.py" "$config" --launcher slurm "$@"
