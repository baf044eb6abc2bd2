"""Turn a trained CAM network and image tags into CAM files and pseudo masks."""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from mmseg.registry import DATASETS

from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER, MASK_FOLDER
from wsss_mm.engine.launch import (
    OptionsAction,
    load_config,
    load_weights,
    prepare_launcher,
    readable_errors,
    start_from_nothing,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of the CAM network')
    parser.add_argument('checkpoint', help='checkpoint that tools/train.py wrote')
    parser.add_argument(
        '--out',
        help=f'folder for {CAM_FOLDER}/ and {MASK_FOLDER}/ (default: the work folder)',
    )
    parser.add_argument(
        '--split', help="list file of images (default: the training data's list)"
    )
    parser.add_argument(
        '--threshold', type=float, help='background threshold (default: from config)'
    )
    parser.add_argument(
        '--single-scale', action='store_true', help='one scale, no mirror: a quick look'
    )
    parser.add_argument('--no-cams', action='store_true', help='write masks only')
    parser.add_argument(
        '--overwrite', action='store_true', help='redo images that are done'
    )
    parser.add_argument('--work-dir', help='folder of the log')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='override config values: key=value, nested keys as a.b=value',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def pending(cfg: Config, out: Path, *, cams: bool) -> tuple[list[int], int]:
    """List the images that have no result yet, and count them all.

    Args:
        cfg: Config whose test dataset names the images.
        out: Folder of results.
        cams: Whether a result needs its CAM file too.
    """
    import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)

    def done(name: str) -> bool:
        has_cam = not cams or (out / CAM_FOLDER / f'{name}.npz').is_file()
        return has_cam and (out / MASK_FOLDER / f'{name}.png').is_file()

    names = [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))]
    return [i for i, name in enumerate(names) if not done(name)], len(names)


def prepare(cfg: Config, args: argparse.Namespace, out: Path) -> Config:
    """Turn a training config into one whose test loop writes pseudo labels."""
    data = cfg.test_dataloader.dataset
    data.ann_file = args.split or cfg.train_dataloader.dataset.ann_file
    data.data_prefix.seg_map_path = None  # tags only: no mask is read here
    if not args.single_scale:
        data.pipeline = cfg.tta_pipeline
        cfg.model = dict(cfg.tta_model, module=cfg.model)
    if args.threshold is not None:
        model = cfg.model if args.single_scale else cfg.model['module']
        model['test_cfg']['background_threshold'] = args.threshold
    cfg.test_evaluator = dict(type='Evaluator', metrics=[])
    hook = dict(
        type='PseudoLabelHook',
        out_dir=str(out),
        save_cams=not args.no_cams,
        progress=True,
    )
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]
    # Where the bar is not shown, the log tells the time left.
    cfg.default_hooks.logger.interval = 1000 if sys.stdout.isatty() else 50
    return cfg


def main() -> None:
    args = parse_args()
    with readable_errors():
        cfg = load_config(args.config, args.cfg_options, work_dir=args.work_dir)
        prepare_launcher(cfg, args.launcher)
        start_from_nothing(cfg)
        out = Path(args.out or cfg.work_dir)
        cfg = prepare(cfg, args, out)
        if not args.overwrite:
            todo, total = pending(cfg, out, cams=not args.no_cams)
            print(f'{total - len(todo)} of {total} images are done already')
            if not todo:
                return
            cfg.test_dataloader.dataset.indices = todo
        runner = Runner.from_cfg(cfg)
        load_weights(runner.model, args.checkpoint)
        runner.test()
        print(f'wrote {out / MASK_FOLDER}')


if __name__ == '__main__':
    main()
