"""Train any network from its config, and test it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from wsss_mm.checkpoints.safe_loading import weights_only_loads
from wsss_mm.io.atomic import naming
from wsss_mm.utils.memory import keep_freed_memory
from wsss_mm.utils.precision import predict_in_half, train_in_half
from wsss_mm.workflow.launch import (
    drop_metrics_of_masks,
    load_config,
    prepare_launcher,
    with_tta,
)
from wsss_mm.workflow.lock import locked
from wsss_mm.workflow.quiet_runner import build_runner
from wsss_mm.workflow.resume import start_from, start_from_nothing
from wsss_mm.workflow.weights import load_weights


def train(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: bool = False,
    resume_or_start: bool = False,
    amp: bool = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> Path:
    """Train a CAM network, an affinity network or a segmenter.

    Args:
        config: Its config: a path, or a name of those we ship.
        work_dir: Folder of logs and checkpoints; ``work_dirs/<config>`` if None.
        resume: Whether to go on from the newest whole checkpoint in that folder.
        resume_or_start: The same, but start anew where an earlier try ended before its
            first checkpoint.
        amp: Whether to train in automatic mixed precision, which needs a GPU.
        options: Config values to override, by dotted key.
        launcher: ``'none'``, or that of MMEngine which started this process.

    Returns:
        The work folder, which the other verbs take for a checkpoint.

    Raises:
        InputError: If config, data or weights cannot be used, or another training
            writes into this folder.

    Reference:
        The config's; the README of its folder says what the recipe follows.
    """
    cfg = load_config(str(config), options, work_dir=work_dir)
    prepare_launcher(cfg, launcher)
    drop_metrics_of_masks(cfg)
    with naming(cfg.work_dir), locked(cfg.work_dir):
        start_from(cfg, resume=resume or resume_or_start, or_start=resume_or_start)
        if amp:
            train_in_half(cfg)
        if not torch.cuda.is_available():
            keep_freed_memory()
        with weights_only_loads():
            build_runner(cfg).train()
    return Path(cfg.work_dir)


def evaluate_checkpoint(
    config: str | Path,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    tta: bool = False,
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    amp: bool = False,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> dict[str, float]:
    """Evaluate a network on the test split of its config.

    Args:
        config: Its config: a path, or a name of those we ship.
        checkpoint: Its weights, or the folder it was trained into.
        work_dir: Folder of the log.
        tta: Whether to predict several scales and mirrors, as papers do.
        out: Folder that receives ``masks`` with the predictions.
        show_dir: Folder that receives painted predictions.
        amp: Whether to compute in mixed precision.
        options: Config values to override, by dotted key.
        launcher: ``'none'``, or that of MMEngine which started this process.

    Returns:
        The figures by name, in percent; none where there are no true masks or tags.

    Raises:
        InputError: If config, data or weights cannot be used.

    Reference:
        The protocol of VOC 2012, as docs/protocol.md writes it down.
    """
    cfg = load_config(str(config), options, work_dir=work_dir)
    prepare_launcher(cfg, launcher)
    start_from_nothing(cfg)
    drop_metrics_of_masks(cfg)
    if tta:
        cfg = with_tta(cfg)
    if amp:
        predict_in_half(cfg)
    if out is not None:
        hook = dict(type='PseudoLabelHook', out_dir=str(out), save_cams=False)
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    if show_dir is not None:
        cfg.default_hooks.visualization.draw = True
        cfg.visualizer.save_dir = str(show_dir)
    with naming(out or cfg.work_dir):
        runner = build_runner(cfg)
        load_weights(runner.model, checkpoint)
        return dict(runner.test() or {})
