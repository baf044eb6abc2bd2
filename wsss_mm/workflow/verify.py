"""Evaluate again what a metafile states, and compare the figures."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config, ConfigDict

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_files import shipped
from wsss_mm.workflow.launch import has_masks, load_config
from wsss_mm.workflow.metafile import Check, check_trusted, read_checks
from wsss_mm.workflow.nested_datasets import only_dataset
from wsss_mm.workflow.stage import Stage, run_stage

# Values are written with few digits; a tolerance of 0 means: the same digits.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Comparison:
    """A stated figure beside what was found.

    Attributes:
        check: Where it is stated.
        key: Its name.
        stated: Its value in the metafile.
        found: What evaluating again gave.
    """

    check: Check
    key: str
    stated: float
    found: float

    @property
    def fits(self) -> bool:
        """Whether the difference is within the tolerance."""
        return abs(self.found - self.stated) <= self.check.tolerance + ROUNDING


def select_checks(
    metafile: str | Path, name: str | None = None, *, one_model: bool = False
) -> list[Check]:
    """List the checks of a metafile.

    Args:
        metafile: The ``metafile.yml`` of a method.
        name: One model of it; all of them if None.
        one_model: Whether the results of only one model are at hand.

    Raises:
        InputError: If there is no such model, nothing to check, or more than one model.
    """
    checks = read_checks(metafile)
    if name is not None and name not in checks:
        listed = ', '.join(checks)
        raise InputError(f'{metafile} has no model {name}; there are {listed}')
    names = list(checks) if name is None else [name]
    found = [check for name in names for check in checks[name]]
    if not found:
        raise InputError(f'{metafile}: no Verify entry for {", ".join(names)}')
    if one_model and len({check.model for check in found}) > 1:
        raise InputError('--work-dir is the folder of one model: add --name')
    return found


def verify_check(
    check: Check,
    folder: Path,
    *,
    options: Mapping[str, object],
    configs: Path | None = None,
) -> list[Comparison]:
    """Evaluate what a check is about, and compare its figures.

    Args:
        check: What to evaluate.
        folder: Work folder of its model.
        options: Config values to override, as where the data are.
        configs: A folder whose configs may be run, besides those that we ship.

    Raises:
        InputError: If the config is in neither folder, something is missing, or the
            evaluation gives no such figure.
    """
    if Path(check.config).is_file():  # or it is found by name among ours, or not
        check_trusted(check.config, [shipped('configs'), *filter(None, [configs])])
    source = folder / str(check.predictions or check.checkpoint)
    if not source.exists():
        raise InputError(
            f'no {source}: make it as the Recipe of {check.model} says, or name the '
            'folder it is in with --work-dir'
        )
    cfg = load_config(check.config, dict(options))
    with tempfile.TemporaryDirectory() as scratch:
        figures = Path(scratch) / 'figures.json'
        changed: dict[str, object] = {}
        if check.predictions is not None:
            command = masks_command(check, cfg, source, figures)
        else:
            command = test_command(check, source, figures)
            metric = 'test_evaluator' + '.0' * isinstance(cfg.test_evaluator, list)
            changed = {**options, f'{metric}.output_json': str(figures)}
        stage = Stage('verify', tuple(command), options=changed)
        run_stage(stage, Path(scratch))
        if not figures.is_file():
            raise InputError(f'{check.model}: tools/{command[0]} gave no figures')
        found = json.loads(figures.read_text())
    for key in check.values:
        if key not in found:
            raise InputError(
                f'{check.model}, {check.task}: the evaluation gives no {key}; it has '
                f'{", ".join(k for k in found if k not in ("classes", "curve"))}'
            )
    return [
        Comparison(check, key, value, found[key]) for key, value in check.values.items()
    ]


def masks_command(check: Check, cfg: Config, source: Path, figures: Path) -> list[str]:
    """Write the command that scores a folder of CAM files or masks."""
    data = ConfigDict()
    if has_masks(cfg, 'val'):
        data = only_dataset(
            cfg.val_dataloader.dataset,
            where=f'{check.config}: val_dataloader.dataset',
            remedy='masks are scored on one',
        )
    prefix = data.get('data_prefix') or {}
    if prefix.get('seg_map_path') is None:
        raise InputError(
            f'{check.config} has no true masks (val_dataloader.dataset.data_prefix.'
            'seg_map_path) to verify against'
        )
    root = Path(data.get('data_root') or '')
    names = root / data.ann_file
    if not names.is_file():
        raise InputError(
            f'no list {names}: make the data with tools/dataset_converters, or say '
            'where they are with --cfg-options val_dataloader.dataset.data_root=...'
        )
    command = ['eval_masks.py', str(source), str(root / prefix['seg_map_path'])]
    command += ['--list', str(names), '--classes', str(cfg.num_classes)]
    command += ['--json', str(figures)]
    if check.threshold is not None:
        command += ['--threshold', str(check.threshold)]
    if check.threshold == AUTO:
        command += ['--images', str(root / prefix.get('img_path', ''))]
    return [*command, '--curve'] if check.needs_curve else command


def test_command(check: Check, source: Path, figures: Path) -> list[str]:
    """Write the command that tests a checkpoint."""
    command = ['test.py', check.config, str(source), '--work-dir', str(figures.parent)]
    return [*command, '--tta'] if check.tta else command
