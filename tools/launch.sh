# Sourced by dist_*.sh and slurm_*.sh, which have the usage.
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# A checkout runs its own code, also where it is not installed.
if [ -d "$tools/../wsss_mm" ]; then
    export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
fi

# has_wsss_mm PYTHON: whether an interpreter has it, and what it stands on.
has_wsss_mm() {
    (
        cd / && "$1" -c 'import importlib.util, sys
sys.exit(not all(map(importlib.util.find_spec, ("wsss_mm", "mmengine"))))'
    ) >/dev/null 2>&1
}

# Sets `python`: PYTHON, or the one on the PATH (as of an active environment) if it has
# wsss_mm, or that of the environment which `make env` made.
find_python() {
    python=${PYTHON:-python}
    if [ -n "${PYTHON:-}" ] || has_wsss_mm "$python"; then
        return
    fi
    python=$tools/../.venv/bin/python
    if [ ! -x "$python" ]; then
        echo "error: the python on the PATH has no wsss_mm, and $python is not there:" \
            "run 'make env', activate an environment, or set PYTHON" >&2
        exit 2
    fi
}
find_python

# with_torchrun GPUS TOOL [arguments]: a process for each GPU of this machine.
with_torchrun() {
    local gpus=$1 tool=$2
    shift 2
    exec "$python" -m torch.distributed.run \
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
        "$python" -u "$tools/$tool" --launcher slurm "$@"
}
