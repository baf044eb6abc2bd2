"""The stages of a method as data: which tool, on what, with which options.

Pipeline and demo build their stages here, so that one is done, resumed or refused by
the same rules in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config

from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_files import find_config
from wsss_mm.workflow.folders import SEED_FOLDER, mask_folder
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.provenance import config_settings
from wsss_mm.workflow.stage import LAUNCHED, Stage
from wsss_mm.workflow.weights import start_weights

Options = Mapping[str, Any]


def settings_of_config(config: str | Path, options: Options) -> dict[str, Any]:
    """List what running a config with some options depends on."""
    return config_settings(load_config(str(config), options))


def made_of(config: str | Path, network: Path | None, options: Options) -> list[Path]:
    """List the files or folders of the weights that a CAM network predicts with.

    Args:
        config: Of the network.
        network: Folder it was trained into; None if it needs no training, and starts
            from files that its config names.
        options: Config values to override.
    """
    if network is not None:
        return [network]
    files = start_weights(load_config(str(config), options)).values()
    return [Path(file) for file in dict.fromkeys(files)]


def in_half(stage: Stage) -> Stage:
    """Return a stage whose network, if it has one, computes in mixed precision."""
    if stage.command[0] not in LAUNCHED:
        return stage
    settings = {**stage.settings, 'amp': True}
    return replace(stage, command=(*stage.command, '--amp'), settings=settings)


def train_stage(
    name: str,
    config: str | Path,
    network: Path,
    *,
    options: Options,
    inputs: Sequence[Path] = (),
) -> Stage:
    """Train a network into its folder; a cut-off training is resumed.

    Args:
        name: Of the stage.
        config: Of the network.
        network: Folder it is trained into.
        options: Config values to override.
        inputs: Folders of earlier stages that it learns from.
    """
    return Stage(
        name,
        ('train.py', str(find_config(config)), '--work-dir', str(network)),
        options=options,
        resume=('--resume-or-start',),
        settings=settings_of_config(config, options),
        inputs=tuple(inputs),
        outputs=(network,),
    )


def cams_stage(
    name: str,
    config: str | Path,
    network: Path | None,
    out: Path,
    *,
    options: Options,
    threshold: float | str | None = None,
    split: Path | None = None,
    workers: int = 0,
) -> Stage:
    """Write CAM files and pseudo masks.

    Args:
        name: Of the stage.
        config: Of the CAM network.
        network: Folder it was trained into; None if it needs no training.
        out: Folder that receives ``cams`` and ``masks``.
        options: Config values to override.
        threshold: Background threshold, or ``'auto'``; the config's if None.
        split: List file of the images; the training data's if None.
        workers: Processes.
    """
    more = () if threshold is None else ('--threshold', str(threshold))
    return Stage(
        name,
        pseudo_command(config, network, out, split, workers, more),
        options=options,
        settings=dict(
            config=settings_of_config(config, options),
            threshold=threshold,
            split=None if split is None else str(split),
        ),
        inputs=tuple(made_of(config, network, options)),
        outputs=(out / CAM_FOLDER, out / MASK_FOLDER),
    )


def seed_scores_stage(
    name: str,
    config: str | Path,
    network: Path | None,
    out: Path,
    *,
    options: Options,
    split: Path | None = None,
    workers: int = 0,
) -> Stage:
    """Write what an affinity network learns from; arguments as `cams_stage`."""
    return Stage(
        name,
        pseudo_command(config, network, out, split, workers, ('--seed-scores',)),
        options=options,
        settings=dict(
            config=settings_of_config(config, options),
            split=None if split is None else str(split),
        ),
        inputs=tuple(made_of(config, network, options)),
        outputs=(out / SEED_FOLDER,),
    )


def refine_stage(
    name: str,
    config: str | Path,
    network: Path | None,
    out: Path,
    *,
    chain: str,
    affinity: tuple[Path, Path] | None = None,
    options: Options,
    split: Path | None = None,
    workers: int = 0,
) -> Stage:
    """Refine CAM files into masks.

    Args:
        name: Of the stage.
        config: Of the CAM network.
        network: Folder it was trained into; None if it needs no training.
        out: Folder that holds ``cams`` and receives the masks of the chain.
        chain: Name of the chain of refiners.
        affinity: Config and folder of the affinity network, for a chain that walks.
        options: Config values to override.
        split: List file of the images; the training data's if None.
        workers: Processes.
    """
    more = ['--refine', chain]
    if affinity is not None:
        more += ['--affinity', *map(str, affinity)]
    return Stage(
        name,
        pseudo_command(config, network, out, split, workers, more),
        options=options,
        settings=dict(
            config=settings_of_config(config, options),
            chain=chain,
            split=None if split is None else str(split),
        ),
        # CAM files that are missing are made of the network's weights.
        inputs=(*made_of(config, network, options), *(affinity or ())[1:]),
        outputs=(out / mask_folder(chain),),
    )


def pseudo_command(
    config: str | Path,
    network: Path | None,
    out: Path,
    split: Path | None,
    workers: int,
    more: Sequence[str],
) -> tuple[str, ...]:
    """Put a command of gen_pseudo.py together."""
    checkpoint = () if network is None else (str(network),)
    images = () if split is None else ('--split', str(split.resolve()))
    return (
        *('gen_pseudo.py', str(find_config(config)), *checkpoint),
        *('--work-dir', str(network or out), '--out', str(out)),
        *images,
        *('--workers', str(workers), *more),
    )


def evaluation_stage(
    name: str,
    predictions: Path,
    truth: Path,
    *,
    names: Path,
    num_classes: int,
    figures: Path,
    class_file: Path | None = None,
    threshold: float | str | None = None,
    plot: Path | None = None,
    workers: int | None = None,
) -> Stage:
    """Score a folder of masks, or of CAM files, against true masks.

    Args:
        name: Of the stage.
        predictions: Folder of the files.
        truth: Folder of true masks.
        names: List file of the images.
        num_classes: Classes, background included (K).
        figures: JSON file to write.
        class_file: File of the class names; classes have numbers if None.
        threshold: Background threshold of CAM files, which are scored over the curve
            too; None for masks.
        plot: PNG file for the curve.
        workers: Processes; one a CPU if None.
    """
    command = ['eval_masks.py', str(predictions), str(truth), '--list', str(names)]
    if class_file is None:
        command += ['--classes', str(num_classes)]
    else:
        command += ['--names', str(class_file)]
    command += ['--json', str(figures)]
    if threshold is not None:
        command += ['--curve', '--threshold', str(threshold)]
    if plot is not None:
        command += ['--plot', str(plot)]
    if workers is not None:
        command += ['--workers', str(workers)]
    return Stage(
        name,
        tuple(command),
        settings=dict(
            truth=str(truth), names=str(names), classes=num_classes, threshold=threshold
        ),
        inputs=(predictions,),
        outputs=(figures,),
    )


def segmenter_test_stage(
    name: str,
    config: str | Path,
    network: Path,
    *,
    options: Options,
    out: Path,
    figures: Path | None = None,
) -> Stage:
    """Test a segmenter at several scales and write its predictions.

    Args:
        name: Of the stage.
        config: Of the segmenter.
        network: Folder it was trained into.
        options: Config values to override.
        out: Folder that receives ``masks``.
        figures: JSON file for the figures; None where there are no true masks.
    """
    settings = dict(config=settings_of_config(config, options), tta=True)
    if figures is not None:
        cfg = load_config(str(config), options)
        metric = 'test_evaluator' + '.0' * isinstance(cfg.test_evaluator, list)
        options = {**options, f'{metric}.output_json': str(figures)}
    command = ('test.py', str(find_config(config)), str(network))
    return Stage(
        name,
        (*command, '--work-dir', str(network), '--tta', '--out', str(out)),
        options=options,
        settings=settings,
        inputs=(network,),
        outputs=(out / MASK_FOLDER, *([] if figures is None else [figures])),
    )


def segmenter_config(cam_config: str | Path, name: str | None = None) -> Path:
    """Find the second-stage config that stands beside a CAM config.

    Args:
        cam_config: A config ``<stem>.py``.
        name: Which of its ``<stem>_<name>.py`` to take; the first DeepLab if none.

    Raises:
        InputError: If there is none.
    """
    path = find_config(cam_config)
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
        InputError: If there is no ``<stem>_affinity.py`` beside it.
    """
    path = find_config(cam_config)
    found = path.with_name(f'{path.stem}_affinity.py')
    if not found.is_file():
        raise InputError(
            f'{found}: no such config, but a random walk needs an affinity network; '
            'write one, or refine with --refine crf, pamr or none'
        )
    return found


def default_chain(cam_config: str | Path, cfg: Config) -> str:
    """Choose how masks are refined: as far as the configs beside a CAM config go.

    Args:
        cam_config: Path or name of the config.
        cfg: The same, read; its ``default_refine`` decides if it has one.
    """
    if cfg.get('default_refine') is not None:
        return str(cfg.default_refine)
    path = find_config(cam_config)
    walks = path.with_name(f'{path.stem}_affinity.py').is_file()
    return 'rw_crf' if walks else 'none'
