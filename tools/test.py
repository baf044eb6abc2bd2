"""Evaluate a checkpoint on its config's test split."""

import argparse

from mmengine.runner import Runner

from wsss_mm.cli.command_line import (
    add_config_options,
    parse_with_launcher,
    readable_errors,
)
from wsss_mm.workflow.launch import (
    drop_metrics_of_masks,
    load_config,
    prepare_launcher,
)
from wsss_mm.workflow.resume import start_from_nothing
from wsss_mm.workflow.weights import load_weights


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        'checkpoint', help='checkpoint or work folder of tools/train.py'
    )
    parser.add_argument('--work-dir', help='folder of the log and the metrics')
    parser.add_argument(
        '--tta', action='store_true', help='several scales and mirrors, as in papers'
    )
    parser.add_argument('--out', help='folder for the predicted masks')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    add_config_options(parser)
    return parse_with_launcher(parser)


def main() -> None:
    args = parse_args()
    with readable_errors():
        cfg = load_config(args.config, args.cfg_options, work_dir=args.work_dir)
        prepare_launcher(cfg, args.launcher)
        start_from_nothing(cfg)
        drop_metrics_of_masks(cfg)
        if args.tta:
            cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
            cfg.model = dict(cfg.tta_model, module=cfg.model)
        if args.out:
            cfg.custom_hooks = [
                *cfg.get('custom_hooks', []),
                dict(type='PseudoLabelHook', out_dir=args.out, save_cams=False),
            ]
        if args.show_dir:
            cfg.default_hooks.visualization.draw = True
            cfg.visualizer.save_dir = args.show_dir
        runner = Runner.from_cfg(cfg)
        load_weights(runner.model, args.checkpoint)
        runner.test()


if __name__ == '__main__':
    main()
