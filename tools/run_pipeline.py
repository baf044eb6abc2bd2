"""Run a whole method: tags, CAMs, refined pseudo masks, a segmenter, its figures.

Finished stages are skipped, an interrupted training is resumed.
"""

import argparse
import json
import os
from pathlib import Path

from mmengine.config import Config

from wsss_mm.apis.background_threshold import AUTO
from wsss_mm.apis.refine import (
    SEED_FOLDER,
    chain_name,
    mask_folder,
    needs_affinity,
)
from wsss_mm.cli.command_line import parse_options, readable_errors, threshold_option
from wsss_mm.io.atomic import atomic_write
from wsss_mm.workflow.launch import has_masks, load_config
from wsss_mm.workflow.stage import (
    Stage,
    affinity_config,
    default_chain,
    run_stages,
    segmenter_config,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help="config of the method's CAM network")
    parser.add_argument(
        '--segmenter',
        help='second stage: the NAME of <config>_NAME.py (default: the first DeepLab)',
    )
    parser.add_argument('--work-dir', help='folder of everything (default: by config)')
    parser.add_argument(
        '--refine',
        help="chain of the config that makes the segmenter's masks (default: rw_crf "
        'where <config>_affinity.py exists, else none)',
    )
    parser.add_argument(
        '--threshold',
        type=threshold_option,
        help=f'background threshold of the pseudo masks, or {AUTO} (default: config)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='for the CAM network'
    )
    parser.add_argument(
        '--affinity-options', nargs='+', default=[], help='for the affinity network'
    )
    parser.add_argument(
        '--segmenter-options', nargs='+', default=[], help='for the segmenter'
    )
    parser.add_argument(
        '--workers', type=int, default=os.cpu_count(), help='processes that refine'
    )
    parser.add_argument(
        '--gpus',
        type=int,
        default=1,
        help="of this machine; a config's batch_size is that of each (default: 1)",
    )
    args = parser.parse_args()
    if args.gpus < 1:
        parser.error(f'--gpus must be at least 1, not {args.gpus}')
    return args


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


def images_of(cfg: Config) -> Path:
    """Locate the images of the evaluation split."""
    data = cfg.val_dataloader.dataset
    return Path(data.get('data_root') or '') / data.data_prefix.get('img_path', '')


def options_of(pairs: list[str]) -> tuple[str, ...]:
    """Hand ``key=value`` pairs on as a tool's ``--cfg-options``."""
    return ('--cfg-options', *pairs) if pairs else ()


def gen_pseudo(args: argparse.Namespace, folder: Path, *more: str) -> tuple[str, ...]:
    """Put a command of gen_pseudo.py together."""
    network = str(folder / 'cam')
    return (
        *('gen_pseudo.py', args.config, network, '--work-dir', network),
        *('--out', str(folder), *more, *options_of(args.cfg_options)),
    )


def evaluation(
    cfg: Config, folder: Path, name: str, predictions: str, *more: str
) -> list[Stage]:
    """Score a folder against the true masks; no stage where there are none."""
    truth = masks_of(cfg)
    if truth is None:
        return []
    return [
        Stage(
            f'eval_{name}',
            (
                *('eval_masks.py', str(folder / predictions), str(truth[0])),
                *('--list', str(truth[1]), '--classes', str(cfg.num_classes)),
                *('--json', str(folder / f'{name}.json'), *more),
            ),
        )
    ]


def cam_stages(cfg: Config, args: argparse.Namespace, folder: Path) -> list[Stage]:
    """List the stages from tags to evaluated CAMs and their masks."""
    threshold = args.threshold
    if threshold is None:
        threshold = cfg.model.test_cfg.background_threshold
    if masks_of(cfg) is None:
        print('no true masks are configured: the pseudo masks are not evaluated')
    curve = ['--curve', '--threshold', str(threshold)]
    if threshold == AUTO and masks_of(cfg) is not None:
        curve += ['--images', str(images_of(cfg))]
    return [
        Stage(
            'train_cam',
            (
                *('train.py', args.config, '--work-dir', str(folder / 'cam')),
                *options_of(args.cfg_options),
            ),
            resume=('--resume-or-start',),
        ),
        Stage('gen_pseudo', gen_pseudo(args, folder, '--threshold', str(threshold))),
        *evaluation(
            cfg,
            *(folder, 'cam', 'cams', *curve),
            *('--plot', str(folder / 'cam_curve.png')),
        ),
        *evaluation(cfg, folder, 'pseudo_mask', 'masks'),
    ]


def affinity_stages(args: argparse.Namespace, folder: Path) -> list[Stage]:
    """List the stages that train the affinity network on confident seeds."""
    config = str(affinity_config(args.config))
    seeds = f'seed_scores={(folder / SEED_FOLDER).resolve()}'
    return [
        Stage(
            'seed_scores',
            gen_pseudo(args, folder, '--seed-scores', '--workers', str(args.workers)),
        ),
        Stage(
            'train_affinity',
            (
                *('train.py', config, '--work-dir', str(folder / 'affinity')),
                *('--cfg-options', seeds, *args.affinity_options),
            ),
            resume=('--resume-or-start',),
        ),
    ]


def refinement_stages(
    cfg: Config, args: argparse.Namespace, folder: Path, name: str
) -> list[Stage]:
    """List the stages from CAMs to refined and evaluated masks."""
    stages, affinity = [], ()
    if needs_affinity(cfg, name):
        stages = affinity_stages(args, folder)
        affinity = (
            *('--affinity', str(affinity_config(args.config))),
            str(folder / 'affinity'),
        )
    refine = ('--refine', name, *affinity, '--workers', str(args.workers))
    stages.append(Stage(f'refine_{name}', gen_pseudo(args, folder, *refine)))
    return stages + evaluation(cfg, folder, name, mask_folder(name))


def segmenter_stages(args: argparse.Namespace, folder: Path, chain: str) -> list[Stage]:
    """List the stages that retrain a segmenter from the masks and test it."""
    config = str(segmenter_config(args.config, args.segmenter))
    cfg = load_config(config, parse_options(args.segmenter_options))
    masks = str((folder / mask_folder(chain)).resolve())
    network = str(folder / 'segmenter')
    data = f'train_dataloader.dataset.data_prefix.seg_map_path={masks}'
    options = ('--cfg-options', data, *args.segmenter_options)
    train = Stage(
        'train_segmenter',
        ('train.py', config, '--work-dir', network, *options),
        resume=('--resume-or-start',),
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
        chain = chain_name(args.refine or default_chain(args.config))
        stages = cam_stages(cfg, args, folder)
        if chain != 'none':
            stages += refinement_stages(cfg, args, folder, chain)
        stages += segmenter_stages(args, folder, chain)
        seconds = run_stages(stages, folder, gpus=args.gpus)
        results = {
            name: json.loads((folder / f'{name}.json').read_text())
            for name in ('cam', 'pseudo_mask', chain, 'segmentation')
            if (folder / f'{name}.json').is_file()
        }
        with atomic_write(folder / 'results.json') as part:
            part.write_text(json.dumps(dict(seconds=seconds, stages=results), indent=1))
        for name, figures in results.items():
            print(f'{name}: mIoU {figures["mIoU"]:.2f} %')
        print(f'wrote {folder / "results.json"}')


if __name__ == '__main__':
    main()
