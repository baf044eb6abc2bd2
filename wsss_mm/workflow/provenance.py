"""What a result was made from, in a form that does not depend on where it lies."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.kept_files import settings_of
from wsss_mm.workflow.weights import fingerprint

# What speeds a run up or reports on it, and leaves its result as it is.
WITHOUT_EFFECT = {
    *('work_dir', 'filename', 'log_level', 'log_processor', 'vis_backends'),
    *('visualizer', 'launcher', 'resume'),
    # A stage notes its own chain.
    'default_refine',
}
WITHOUT_EFFECT_IN_LOADERS = {
    *('num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory'),
}
HERE = '<work folder>'


def config_settings(cfg: Config) -> dict[str, Any]:
    """List what the result of running a config depends on.

    Args:
        cfg: With all options applied.
    """
    settings: dict[str, Any] = {}
    for key, value in cfg.to_dict().items():
        if key in WITHOUT_EFFECT:
            continue
        if key == 'auto_scale_lr' and not (value or {}).get('enable'):
            continue
        if key.endswith('_dataloader') and isinstance(value, dict):
            value = {
                name: part
                for name, part in value.items()
                if name not in WITHOUT_EFFECT_IN_LOADERS
            }
        settings[key] = value
    hooks = settings.get('default_hooks')
    if isinstance(hooks, dict):
        settings['default_hooks'] = {
            name: hook
            for name, hook in hooks.items()
            if name not in ('logger', 'timer', 'visualization')
        }
    return settings


def digest_of_input(path: Path) -> str:
    """Sum up what a stage reads, in 16 hexadecimal digits.

    A folder whose maker noted its settings goes by these, a checkpoint by its weights,
    any other file by its bytes, and any other folder by its file names and sizes.

    Raises:
        InputError: If there is nothing at the path.
    """
    if not path.exists():
        raise InputError(f'{path}: is missing, but a stage reads it; make it again')
    if path.is_file():
        if path.suffix == '.pth':
            return fingerprint(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    noted = settings_of(path)
    if noted is not None:
        text = json.dumps(noted, sort_keys=True)
    elif any(path.glob('*.pth')):
        return fingerprint(path)
    else:
        files = sorted(one for one in path.rglob('*') if one.is_file())
        text = json.dumps(
            [(str(one.relative_to(path)), one.stat().st_size) for one in files]
        )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def relative_to(value: Any, folder: Path) -> Any:
    """Write paths below a folder so that they stay the same when it is moved.

    Args:
        value: A path, text, or nested lists and dicts of them.
        folder: The work folder.

    Returns:
        A copy in which the folder is called ``<work folder>``.
    """
    if isinstance(value, Mapping):
        return {
            relative_to(key, folder): relative_to(part, folder)
            for key, part in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [relative_to(part, folder) for part in value]
    if not isinstance(value, (str, Path)):
        return value
    text = str(value)
    for root in (str(folder.resolve()), str(folder.absolute()), str(folder)):
        if text == root or text.startswith(f'{root}/'):
            return f'{HERE}{text[len(root) :]}'
    return text
