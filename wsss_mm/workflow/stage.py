"""Run the stages of a method one after the other, skipping what is done."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.errors import InputError

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
# Those that can be run in several processes; the others take one.
LAUNCHED = {'train.py', 'gen_pseudo.py', 'test.py'}
MESSAGE = re.compile(r'(\S+: )?error: ')
SHOWN = 12
PROGRESS = re.compile(r'(Iter|Epoch)\((train|val|test)\).*eta: \S+')


@dataclass(frozen=True)
class Stage:
    """One command of a pipeline.

    Attributes:
        name: Short name; the log and the marker of success are called by it.
        command: Tool (a file of ``tools/``) and its arguments.
        resume: Arguments added when an earlier try was cut off.
    """

    name: str
    command: tuple[str, ...]
    resume: tuple[str, ...] = ()


def launch_command(tool: str, arguments: Sequence[str], *, gpus: int) -> list[str]:
    """Write the command that runs a tool in one process for each GPU.

    Args:
        tool: File of ``tools/``.
        arguments: Its arguments.
        gpus: How many; on a machine without one, processes on the CPU.
    """
    path = str(TOOLS / tool)
    if gpus == 1 or tool not in LAUNCHED:
        return [sys.executable, path, *arguments]
    launcher = ('-m', 'torch.distributed.run', '--standalone')
    command = [sys.executable, *launcher, f'--nproc_per_node={gpus}', path]
    return [*command, *arguments, '--launcher', 'pytorch']


def run_stage(stage: Stage, folder: Path, *, gpus: int = 1, echo: bool = True) -> float:
    """Run a stage unless it has finished before.

    Args:
        stage: What to run.
        folder: Receives ``<name>.log`` and, on success, ``<name>.done.json``.
        gpus: Processes that share the work.
        echo: Whether to show the progress lines of the log.

    Returns:
        The seconds it took, when it ran.

    Raises:
        ValueError: If the command fails, or the folder holds the result of another
            command under this name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marker, log = folder / f'{stage.name}.done.json', folder / f'{stage.name}.log'
    if marker.is_file():
        done = json.loads(marker.read_text())
        if done['command'] != list(stage.command):
            raise InputError(
                f'{marker}: was made by another command '
                f'({shlex.join(done["command"])}); choose another --work-dir or '
                'delete it to run the stage again'
            )
        return done['seconds']
    tool, *arguments = stage.command
    before = 0
    if log.is_file():
        arguments += stage.resume
        before = log.stat().st_size
    command = launch_command(tool, arguments, gpus=gpus)
    start = time.monotonic()
    status = follow(command, log, prefix=stage.name if echo else None)
    seconds = round(time.monotonic() - start, 1)
    if status:
        said = '\n  '.join(what_it_said(log.read_bytes()[before:]))
        raise InputError(
            f'stage {stage.name} failed (exit status {status}). From {log}:\n  {said}'
        )
    with atomic_write(marker) as part:
        part.write_text(json.dumps(dict(command=stage.command, seconds=seconds)))
    return seconds


def what_it_said(output: bytes) -> list[str]:
    """Pick some lines of a failed command's output: its message, or else its end.

    Behind the message a launcher of several processes writes a page of its own.
    """
    lines = output.decode(errors='replace').splitlines()
    end = max(0, len(lines) - SHOWN)
    first = next((i for i, line in enumerate(lines) if MESSAGE.match(line)), end)
    return lines[first : first + SHOWN]


def follow(command: Sequence[str], log: Path, *, prefix: str | None) -> int:
    """Run a command into a log file, showing its progress lines.

    Args:
        command: Program and arguments.
        log: File that all output is appended to.
        prefix: What to show before a progress line; ``None`` shows nothing.

    Returns:
        The exit status.
    """
    with (
        log.open('a') as sink,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            sink.write(line)
            sink.flush()
            found = PROGRESS.search(line)
            if found and prefix:
                print(f'  {prefix}: {found.group()}', flush=True)  # noqa: T201
    return process.returncode


def run_stages(
    stages: Sequence[Stage], folder: Path, *, gpus: int = 1
) -> dict[str, float]:
    """Run stages in order and report the seconds of each.

    Args:
        stages: What to run.
        folder: Receives logs and markers.
        gpus: Processes that share the work of a stage.

    Raises:
        ValueError: If a stage fails, or one is done although an earlier one is not:
            its result would be of another run.
    """
    seconds = {}
    done = [(folder / f'{stage.name}.done.json').is_file() for stage in stages]
    if False in done and True in done[done.index(False) :]:
        early = done.index(False)
        late = done.index(True, early)
        raise InputError(
            f'{folder}: stage {stages[late].name} is done but {stages[early].name}, '
            'which comes before it, is not; choose another --work-dir, or delete '
            f'{stages[late].name}.done.json together with what the stage made'
        )
    for number, stage in enumerate(stages, 1):
        print(f'[{number}/{len(stages)}] {stage.name}', flush=True)  # noqa: T201
        seconds[stage.name] = run_stage(stage, folder, gpus=gpus)
    return seconds


def segmenter_config(cam_config: str | Path, name: str | None = None) -> Path:
    """Find the second-stage config that stands beside a CAM config.

    Args:
        cam_config: A config ``<stem>.py``.
        name: Which of its ``<stem>_<name>.py`` to take; the first DeepLab if none.

    Raises:
        ValueError: If there is none.
    """
    path = Path(cam_config)
    pattern = f'{path.stem}_{name}.py' if name else f'{path.stem}_deeplab*.py'
    found = sorted(path.parent.glob(pattern))
    if not found:
        raise InputError(
            f'{path.parent}: no {pattern}, the config of the second stage of {path}'
        )
    return found[0]


def affinity_config(cam_config: str | Path) -> Path:
    """Find the config of the affinity network that belongs to a CAM config.

    Args:
        cam_config: A config ``<stem>.py``.

    Raises:
        ValueError: If there is no ``<stem>_affinity.py`` beside it.
    """
    path = Path(cam_config)
    found = path.with_name(f'{path.stem}_affinity.py')
    if not found.is_file():
        raise InputError(
            f'{found}: no such config, but a random walk needs an affinity network; '
            'write one, or refine with --refine crf, pamr or none'
        )
    return found


def default_chain(cam_config: str | Path) -> str:
    """Choose how masks are refined: as far as the configs beside a CAM config go."""
    path = Path(cam_config)
    walks = path.with_name(f'{path.stem}_affinity.py').is_file()
    return 'rw_crf' if walks else 'none'
