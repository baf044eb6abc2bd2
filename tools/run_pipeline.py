"""Run a whole method: tags, CAMs, pseudo masks, a trained segmenter, its figures.

Finished stages are skipped, an interrupted training is resumed.
"""

import argparse
import json
from pathlib import Path

from mmengine.config import Config

from wsss_mm.engine.launch import (
    has_masks,
    load_config,
    parse_options,
    readable_errors,
)
from wsss_mm.engine.pipeline import Stage, run_stages, segmenter_config
from wsss_mm.io.atomic import atomic_write


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help="config of the method's CAM network")
    parser.add_argument(
        '--segmenter',
        help='second stage: the NAME of <config>_NAME.py (default: the first DeepLab)',
    )
    parser.add_argument('--work-dir', help='folder of everything (default: by config)')
    parser.add_argument(
        '--threshold', type=float, help='background threshold of the pseudo masks'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='for the CAM network'
    )
    parser.add_argument(
        '--segmenter-options', nargs='+', default=[], help='for the segmenter'
    )
    return parser.parse_args()


def masks_of(cfg: Config) -> tuple[Path, Path] | None:
    """Locate the true masks and the list of the evaluation split, if there are any."""
    if not has_masks(cfg, 'val'):
        return None
    data = cfg.val_dataloader.dataset
    folder = (data.get('data_prefix') or {}).get('seg_map_path')
    if folder is None:
        return None
    root = Path(data.get('data_root') or '')
    return root / folder, root / data.ann_file


def cam_stages(cfg: Config, args: argparse.Namespace, folder: Path) -> list[Stage]:
    """List the stages from tags to evaluated pseudo masks."""
    options = ('--cfg-options', *args.cfg_options) if args.cfg_options else ()
    config, network = args.config, str(folder / 'cam')
    threshold = args.threshold
    if threshold is None:
        threshold = cfg.model.test_cfg.background_threshold
    stages = [
        Stage(
            'train_cam',
            ('train.py', config, '--work-dir', network, *options),
            resume=('--resume',),
        ),
        Stage(
            'gen_pseudo',
            (
                *('gen_pseudo.py', config, network, '--work-dir', network),
                *('--out', str(folder), '--threshold', str(threshold), *options),
            ),
        ),
    ]
    truth = masks_of(cfg)
    if truth is None:
        print('no true masks are configured: the pseudo masks are not evaluated')
        return stages
    common = (
        *(str(truth[0]), '--list', str(truth[1])),
        *('--classes', str(cfg.num_classes)),
    )
    cams, masks = str(folder / 'cams'), str(folder / 'masks')
    return [
        *stages,
        Stage(
            'eval_cams',
            (
                *('eval_masks.py', cams, *common, '--curve'),
                *('--threshold', str(threshold)),
                *('--json', str(folder / 'cam.json')),
                *('--plot', str(folder / 'cam_curve.png')),
            ),
        ),
        Stage(
            'eval_masks',
            (
                *('eval_masks.py', masks, *common),
                *('--json', str(folder / 'pseudo_mask.json')),
            ),
        ),
    ]


def segmenter_stages(args: argparse.Namespace, folder: Path) -> list[Stage]:
    """List the stages that retrain a segmenter from the masks and test it."""
    config = str(segmenter_config(args.config, args.segmenter))
    cfg = load_config(config, parse_options(args.segmenter_options))
    masks, network = str((folder / 'masks').resolve()), str(folder / 'segmenter')
    data = f'train_dataloader.dataset.data_prefix.seg_map_path={masks}'
    options = ('--cfg-options', data, *args.segmenter_options)
    train = Stage(
        'train_segmenter',
        ('train.py', config, '--work-dir', network, *options),
        resume=('--resume',),
    )
    if cfg.get('test_dataloader') is None:
        print('no test images are configured: the segmenter is not tested')
        return [train]
    figures = ()
    if has_masks(cfg, 'test'):
        in_list = isinstance(cfg.test_evaluator, list)
        metric = 'test_evaluator.0' if in_list else 'test_evaluator'
        figures = (f'{metric}.output_json={folder / "segmentation.json"}',)
    test = Stage(
        'test_segmenter',
        (
            *('test.py', config, network, '--work-dir', network, '--tta'),
            *('--out', str(folder / 'predictions'), *options, *figures),
        ),
    )
    return [train, test]


def main() -> None:
    args = parse_args()
    with readable_errors():
        options = parse_options(args.cfg_options)
        cfg = load_config(args.config, options, work_dir=args.work_dir)
        folder = Path(cfg.work_dir)
        stages = cam_stages(cfg, args, folder) + segmenter_stages(args, folder)
        seconds = run_stages(stages, folder)
        results = {
            name: json.loads((folder / f'{name}.json').read_text())
            for name in ('cam', 'pseudo_mask', 'segmentation')
            if (folder / f'{name}.json').is_file()
        }
        with atomic_write(folder / 'results.json') as part:
            part.write_text(json.dumps(dict(seconds=seconds, stages=results), indent=1))
        for name, figures in results.items():
            print(f'{name}: mIoU {figures["mIoU"]:.2f} %')
        print(f'wrote {folder / "results.json"}')


if __name__ == '__main__':
    main()
