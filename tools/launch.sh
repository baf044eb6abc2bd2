# Sourced by dist_*.sh and slurm_*.sh, which have the usage.
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"

# with_torchrun GPUS TOOL [arguments]: a process for each GPU of this machine.
with_torchrun() {
    local gpus=$1 tool=$2
    shift 2
    exec "${PYTHON:-python}" -m torch.distributed.run \
        --nnodes="${NNODES:-1}" \
        --node_rank="${NODE_RANK:-0}" \
        --nproc_per_node="$gpus" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${PORT:-29500}" \
        "$tools/$tool" --launcher pytorch "$@"
}

# with_srun PARTITION JOB_NAME TOOL [arguments]: a task for each of GPUS.
with_srun() {
    local partition=$1 job=$2 tool=$3
    shift 3
    local gpus=${GPUS:-4}
    local per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    # SRUN_ARGS is left unquoted: it is a list of words.
    exec srun --partition="$partition" --job-name="$job" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --gres="gpu:$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-4}" \
        --kill-on-bad-exit=1 \
        ${SRUN_ARGS:-} \
        "${PYTHON:-python}" -u "$tools/$tool" --launcher slurm "$@"
}
