"""Train any stage: a CAM network or a segmenter, as its config says."""

import argparse

import torch
from mmengine.runner import Runner

from wsss_mm.cli.command_line import (
    add_config_options,
    parse_with_launcher,
    readable_errors,
)
from wsss_mm.engine.safe_loading import weights_only_loads
from wsss_mm.utils.memory import keep_freed_memory
from wsss_mm.workflow.launch import (
    drop_metrics_of_masks,
    load_config,
    prepare_launcher,
)
from wsss_mm.workflow.resume import start_from


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of logs and checkpoints')
    parser.add_argument(
        '--resume', action='store_true', help='go on from the latest checkpoint'
    )
    parser.add_argument(
        '--resume-or-start',
        action='store_true',
        help='go on, or start anew if an earlier try ended before its first checkpoint',
    )
    parser.add_argument(
        '--amp', action='store_true', help='train in automatic mixed precision'
    )
    add_config_options(parser)
    return parse_with_launcher(parser)


def main() -> None:
    args = parse_args()
    with readable_errors():
        cfg = load_config(args.config, args.cfg_options, work_dir=args.work_dir)
        prepare_launcher(cfg, args.launcher)
        drop_metrics_of_masks(cfg)
        start_from(
            cfg,
            resume=args.resume or args.resume_or_start,
            or_start=args.resume_or_start,
        )
        if args.amp:
            cfg.optim_wrapper.type = 'AmpOptimWrapper'
            cfg.optim_wrapper.loss_scale = 'dynamic'
        if not torch.cuda.is_available():
            keep_freed_memory()
        with weights_only_loads():
            Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    main()
