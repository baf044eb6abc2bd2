"""Run the stages of a method one after the other, skipping what is done.

A stage is done when its outputs are there and its marker names the same settings and
inputs. Where the folder lies, how many processes work and how a path is written play no
part. Settings are noted when a stage begins, so that one which was cut off is not
finished under others.
"""

import json
import math
import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER
from wsss_mm.workflow.child import follow
from wsss_mm.workflow.config_files import shipped
from wsss_mm.workflow.kept_files import list_changes, read_note
from wsss_mm.workflow.provenance import digest_of_input, relative_to

# Those that can be run in several processes; the others take one.
LAUNCHED = {'train.py', 'gen_pseudo.py', 'test.py'}
MESSAGE = re.compile(r'(\S+: )?error: ')
# As torch's launcher lists processes, the first to end as the last.
KILLED = re.compile(r'^ *traceback *: Signal \d+ \(\w+\) received by PID \d+$')
SHOWN = 12


@dataclass(frozen=True)
class Stage:
    """One command of a pipeline.

    Attributes:
        name: Short name; the log and the marker of success are called by it.
        command: Tool (a file of ``tools/``) and its arguments.
        options: Config values to override; the tool reads them from a file, so that
            any value may stand in them.
        resume: Arguments added when an earlier try was cut off.
        settings: All that the result depends on, but the inputs.
        inputs: Files and folders that it reads, of earlier stages.
        outputs: Files and folders that it leaves.
    """

    name: str
    command: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    resume: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()

    def marker(self, folder: Path) -> Path:
        """Name the file that says the stage is done."""
        return folder / f'{self.name}.done.json'

    def beginning(self, folder: Path) -> Path:
        """Name the file that says what the stage was begun with."""
        return folder / f'{self.name}.started.json'

    def log(self, folder: Path) -> Path:
        """Name the file of its output."""
        return folder / f'{self.name}.log'


def launch_command(tool: str, arguments: Sequence[str], *, gpus: int) -> list[str]:
    """Write the command that runs a tool in one process for each GPU.

    Args:
        tool: File of ``tools/``.
        arguments: Its arguments.
        gpus: How many; on a machine without one, processes on the CPU.
    """
    path = str(shipped('tools') / tool)
    if gpus == 1 or tool not in LAUNCHED:
        return [sys.executable, path, *arguments]
    launcher = ('-m', 'torch.distributed.run', '--standalone')
    command = [sys.executable, *launcher, f'--nproc_per_node={gpus}', path]
    return [*command, *arguments, '--launcher', 'pytorch']


def made_with(stage: Stage, folder: Path, *, gpus: int = 1) -> dict[str, Any]:
    """Gather what the result of a stage depends on: its settings and its inputs.

    Args:
        stage: The stages before it are done.
        folder: Of the pipeline; paths below it are noted relative to it.
        gpus: Processes that share the work.
    """
    inputs = {relative_to(path, folder): digest_of_input(path) for path in stage.inputs}
    settings: dict[str, Any] = dict(settings=dict(stage.settings), inputs=inputs)
    if stage.command[0] == 'train.py':
        # The batch size of a config is that of each process.
        settings['processes'] = gpus
    # As JSON keeps it: tuples are lists, and types are text.
    found: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return relative_to(found, folder)


def is_done(stage: Stage, folder: Path) -> bool:
    """Say whether a stage has finished before and its outputs are still there."""
    marker = stage.marker(folder)
    return marker.is_file() and all(path.exists() for path in stage.outputs)


def finished_seconds(stage: Stage, folder: Path, wanted: Mapping[str, Any]) -> float:
    """Give the seconds that a finished stage took.

    Raises:
        InputError: If it was made with other settings or inputs, or by a version that
            did not note them.
    """
    marker = stage.marker(folder)
    done = read_note(marker)
    if not isinstance(done.get('made_with'), dict):
        raise InputError(
            f'{marker}: an earlier version wrote it, without the settings of the '
            'stage; choose another --work-dir, or delete the marker to run the stage '
            'again on the files that are there'
        )
    changes = list_changes(done['made_with'], wanted)
    if changes:
        raise InputError(
            f'{marker}: stage {stage.name} was made with other settings:\n  '
            f'{changes}\nchoose another --work-dir, or delete the marker and what the '
            'stage made to run it again'
        )
    seconds = done.get('seconds')
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise InputError(
            f'{marker}: seconds is {brief(done.get("seconds"))}, not a number of them; '
            'delete the marker to run the stage again on the files that are there'
        )
    return float(seconds)


def begin(stage: Stage, folder: Path, wanted: Mapping[str, Any]) -> bool:
    """Note what a stage is begun with; say whether it goes on from an earlier try.

    Raises:
        InputError: If the earlier try had other settings or inputs.
    """
    note = stage.beginning(folder)
    if note.is_file():
        changes = list_changes(read_note(note), wanted)
        if changes:
            raise InputError(
                f'{note}: stage {stage.name} was begun with other settings and cut '
                f'off:\n  {changes}\nrun it with those, choose another --work-dir, or '
                'delete this file and what the stage has made so far'
            )
        return True
    with atomic_write(note) as part:
        part.write_text(json.dumps(wanted, indent=1))
    return False


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
        InputError: If the command fails, or the folder holds a result or a beginning
            of other settings or inputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = made_with(stage, folder, gpus=gpus)
    if is_done(stage, folder):
        return finished_seconds(stage, folder, wanted)
    tool, *arguments = stage.command
    log = stage.log(folder)
    before = log.stat().st_size if log.is_file() else 0
    if begin(stage, folder, wanted) or before:
        arguments += stage.resume
    if stage.options:
        file = folder / f'{stage.name}.options.json'
        with atomic_write(file) as part:
            part.write_text(json.dumps(dict(stage.options), indent=1))
        arguments += ('--options-file', str(file))
    command = launch_command(tool, arguments, gpus=gpus)
    start = time.monotonic()
    status = follow(command, log, prefix=stage.name if echo else None)
    seconds = round(time.monotonic() - start, 1)
    if status:
        said = '\n  '.join(what_it_said(log.read_bytes()[before:]))
        raise InputError(
            f'stage {stage.name} failed (exit status {status}). From {log}:\n  {said}'
        )
    with atomic_write(stage.marker(folder)) as part:
        note = dict(made_with=wanted, seconds=seconds, command=shlex.join(command))
        part.write_text(json.dumps(note, indent=1))
    stage.beginning(folder).unlink(missing_ok=True)
    return seconds


def what_it_said(output: bytes) -> list[str]:
    """Pick some lines of a failed command's output: its message, or else its end.

    Behind the message a launcher of several processes writes a page of its own.
    """
    lines = output.decode(errors='replace').splitlines()
    killed = [line.partition(': ')[2] for line in lines if KILLED.search(line)]
    if killed and not any(MESSAGE.match(line) for line in lines):
        return [f'{killed[-1]} (of several processes the first that ended)']
    end = max(0, len(lines) - SHOWN)
    first = next((i for i, line in enumerate(lines) if MESSAGE.match(line)), end)
    return lines[first : first + SHOWN]


def run_stages(
    stages: Sequence[Stage], folder: Path, *, gpus: int = 1
) -> dict[str, float]:
    """Run stages in order and report the seconds of each.

    Args:
        stages: What to run.
        folder: Receives logs and markers.
        gpus: Processes that share the work of a stage.

    Raises:
        InputError: If a stage fails, or one is done although an earlier one is not:
            its result would be of another run.
    """
    seconds = {}
    done = [is_done(stage, folder) for stage in stages]
    if False in done and True in done[done.index(False) :]:
        early = done.index(False)
        late = done.index(True, early)
        raise InputError(
            f'{folder}: stage {stages[late].name} is done but {stages[early].name}, '
            'which comes before it, is not; choose another --work-dir, or delete '
            f'{stages[late].name}.done.json together with what the stage made'
        )
    for number, stage in enumerate(stages, 1):
        LOGGER.info('[%d/%d] %s', number, len(stages), stage.name)
        seconds[stage.name] = run_stage(stage, folder, gpus=gpus)
    return seconds
