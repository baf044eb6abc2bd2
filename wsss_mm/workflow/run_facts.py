"""What a run used: code, command, seed, device and date."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from wsss_mm import __version__

PACKAGE = Path(__file__).resolve().parents[1]


def facts_of_run(cfg: Config, *, gpus: int = 1) -> dict[str, Any]:
    """Gather what a run uses, for its results and its report.

    Args:
        cfg: Config of the CAM network, which gives the seed.
        gpus: How many processes train.
    """
    name, *arguments = sys.argv or ['']
    facts = {
        'command': shlex.join([Path(name).name, *arguments]),
        'commit': commit_of(PACKAGE),
        'seed': (cfg.get('randomness') or {}).get('seed'),
        'device': device_name(gpus),
        'finished': datetime.now(timezone.utc).isoformat(' ', 'minutes'),
        'wsss_mm': __version__,
        'torch': torch.__version__,
        'python': platform.python_version(),
    }
    return {key: value for key, value in facts.items() if value is not None}


def commit_of(folder: Path) -> str | None:
    """Give the commit of the checkout that a folder is in, None outside of one.

    A plus marks a checkout with changes that are not committed.
    """
    if not (folder.parent / '.git').exists():
        return None
    git = ['git', '-C', str(folder.parent)]
    try:
        head, status = (
            subprocess.run([*git, *more], capture_output=True, text=True, check=True)
            for more in (
                ('rev-parse', '--short=12', 'HEAD'),
                ('status', '--porcelain', '--untracked-files=no'),
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None  # no git on this machine, or not its checkout
    return head.stdout.strip() + '+' * bool(status.stdout.strip())


def device_name(gpus: int = 1) -> str:
    """Name what networks are trained on."""
    if torch.cuda.is_available():
        return f'{gpus} x {torch.cuda.get_device_name(0)}'
    return f'{platform.machine()} CPU, {os.cpu_count()} cores, no GPU'


def shown_facts(used: Mapping[str, Any], seconds: Mapping[str, float]) -> dict:
    """Arrange what a run used for a report, with the time of each stage."""
    times = ', '.join(f'{name} {duration(one)}' for name, one in seconds.items())
    total = duration(sum(seconds.values()))
    return {**used, 'time': f'{total} ({times})' if times else total}


def duration(seconds: float) -> str:
    """Write a number of seconds in hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, 'h'), (minutes, 'min'), (rest, 's')]
    return ' '.join(f'{n} {unit}' for n, unit in parts if n) or '0 s'
