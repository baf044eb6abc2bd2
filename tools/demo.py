"""Show a method end to end on SynthVOC: tags, CAMs, pseudo masks, DeepLab, a report.

Beside it run the plain CAM baseline and the same DeepLab trained on true masks.
All networks start from one tag classifier, which stands in for ImageNet weights.
"""

import argparse
import csv
import importlib.util
import json
import os
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsss_mm import __version__
from wsss_mm.datasets.synth_voc import METAINFO
from wsss_mm.engine.launch import load_config, readable_errors
from wsss_mm.engine.pipeline import (
    Stage,
    affinity_config,
    run_stage,
    segmenter_config,
)
from wsss_mm.engine.refine import SEED_FOLDER, mask_folder
from wsss_mm.io.atomic import atomic_write
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.mask_file import load_mask
from wsss_mm.visualization import draw_cam, draw_mask, write_report

METHODS = {'seam': 'configs/seam/seam_r18_synth.py'}
BASELINE = 'configs/cam/cam_r18_synth.py'
PRETRAIN = 'configs/cam/cam_r18_synth_pretrain.py'
SUPERVISED = 'configs/supervised/deeplabv2_r18_synth.py'
PICTURES = 8
# What the segmenter learns from is called the pseudo mask, whichever chain made it.
STAGES_OF_CHAINS = {
    'crf': 'crf',
    'rw': 'random_walk',
    'rw_crf': 'pseudo_mask',
    'pamr': 'pseudo_mask',
}
CHAINS_IN_WORDS = {'rw_crf': 'random walk, then dense CRF', 'pamr': 'PAMR'}


@dataclass(frozen=True)
class Demo:
    """One run of the demo: where it writes, and what its stages share.

    Attributes:
        folder: Receives everything.
        method: Name of the method shown.
        seed: Seed of the data and of all networks.
    """

    folder: Path
    method: str
    seed: int

    @property
    def data(self) -> Path:
        """The generated dataset."""
        return self.folder / 'synth_voc'

    def run(self, name: str, *command: str, resume: bool = False) -> None:
        """Run one stage, unless it is done."""
        stage = Stage(name, command, resume=('--resume',) if resume else ())
        seconds = run_stage(stage, self.folder / 'stages')
        print(f'{name}: {seconds:.0f} s', flush=True)

    def options(self, *more: str, loaders: tuple[str, ...] = ('train', 'test')) -> list:
        """Make the ``--cfg-options`` that put a config onto this demo's data."""
        roots = [
            f'{loader}_dataloader.dataset.data_root={self.data}' for loader in loaders
        ]
        return ['--cfg-options', *roots, f'randomness.seed={self.seed}', *more]

    def train(self, name: str, config: str, *more: str) -> None:
        """Train a network into the folder of its name."""
        quick = ('val_dataloader=None', 'val_cfg=None', 'val_evaluator=None')
        options = self.options(*quick, *more)
        out = str(self.folder / name)
        self.run(f'train_{name}', 'train.py', config, '--work-dir', out, *options)

    @property
    def pretrained(self) -> str:
        """Weights of the tag classifier that all networks start from."""
        return (self.folder / 'pretrain' / 'last_checkpoint').read_text().strip()

    def pseudo(
        self, name: str, config: str, split: Path, out: Path, *more: str
    ) -> None:
        """Write CAMs and masks of a list of images; ``more`` says which."""
        network = str(self.folder / name)
        kind = '_'.join(word.strip('-') for word in more[:2] if 'workers' not in word)
        self.run(
            '_'.join(filter(None, ['gen_pseudo', name, split.stem, kind])),
            *('gen_pseudo.py', config, network, '--work-dir', network),
            *('--split', str(split.resolve()), '--out', str(out), '--workers', '0'),
            *more,
            *self.options(),
        )

    def evaluate(self, name: str, predictions: Path, *more: str) -> None:
        """Score a folder of CAMs or masks on the train list."""
        self.run(
            f'eval_{name}',
            *('eval_masks.py', str(predictions), str(self.data / 'SegmentationClass')),
            *('--list', str(self.split('train')), '--dataset', 'synth_voc'),
            *('--json', str(self.folder / f'{name}.json'), '--workers', '1', *more),
        )

    def split(self, name: str) -> Path:
        """Locate a list of images."""
        return self.data / 'ImageSets' / 'Segmentation' / f'{name}.txt'

    def segment(self, name: str, config: str, masks: Path | None) -> None:
        """Train a segmenter from a folder of masks and test it on the val list."""
        more = [f'model.backbone.init_cfg.checkpoint={self.pretrained}']
        if masks is not None:
            key = 'train_dataloader.dataset.data_prefix.seg_map_path'
            more.append(f'{key}={masks.resolve()}')
        self.train(name, config, *more)
        out = self.folder / name
        self.run(
            f'test_{name}',
            *('test.py', config, str(out), '--work-dir', str(out), '--tta'),
            *('--out', str(out), *self.options()),
            f'test_evaluator.output_json={self.folder / f"{name}.json"}',
        )


def baseline_lane(demo: Demo) -> None:
    """Plain CAM, then the fully supervised yardstick."""
    out = demo.folder / 'cam_baseline'
    demo.train('cam_baseline', BASELINE, f'load_from={demo.pretrained}')
    # The pseudo masks of a method's own demo cover all it trains on.
    demo.pseudo('cam_baseline', BASELINE, demo.split('train'), out)
    threshold = load_config(BASELINE).model.test_cfg.background_threshold
    demo.evaluate(
        'cam_baseline', out / 'cams', '--curve', '--threshold', str(threshold)
    )
    demo.pseudo('cam_baseline', BASELINE, demo.folder / 'samples.txt', out / 'samples')
    demo.segment('fully_supervised', SUPERVISED, None)


def method_lane(demo: Demo) -> None:
    """The method's CAMs, their refinement, and the segmenter trained from them."""
    config, name = METHODS[demo.method], f'{demo.method}_cam'
    out = demo.folder / name
    demo.train(name, config, f'load_from={demo.pretrained}')
    demo.pseudo(name, config, demo.split('trainaug'), out)
    threshold = load_config(config).model.test_cfg.background_threshold
    demo.evaluate(name, out / 'cams', '--curve', '--threshold', str(threshold))
    options = train_affinity(demo, name, config) if crf_is_installed() else {}
    chains = ('crf', 'rw', 'rw_crf') if options else ('pamr',)
    for chain in chains:
        refine = ('--refine', chain, *options.get(chain, ()))
        demo.pseudo(name, config, demo.split('trainaug'), out, *refine)
        demo.evaluate(STAGES_OF_CHAINS[chain], out / mask_folder(chain))
    # The last chain makes what the segmenter learns from, and what is shown.
    demo.pseudo(name, config, demo.folder / 'samples.txt', out / 'samples', *refine)
    masks = out / mask_folder(chain)
    demo.segment('segmentation', str(segmenter_config(config)), masks)


def crf_is_installed() -> bool:
    """Tell whether dense CRF can run; say what happens if it cannot."""
    if importlib.util.find_spec('pydensecrf') is not None:
        return True
    print(
        'dense CRF is not installed (pip install -r requirements/crf.txt): PAMR '
        'refines the masks instead, and there is no random walk'
    )
    return False


def train_affinity(demo: Demo, name: str, config: str) -> dict[str, tuple[str, ...]]:
    """Train the affinity network; return what each chain needs to run."""
    out, network = demo.folder / name, str(affinity_config(config))
    demo.pseudo(name, config, demo.split('trainaug'), out, '--seed-scores')
    seeds = f'seed_scores={(out / SEED_FOLDER).resolve()}'
    demo.train('affinity', network, seeds, f'load_from={demo.pretrained}')
    walk = ('--affinity', network, str(demo.folder / 'affinity'))
    return {'crf': (), 'rw': walk, 'rw_crf': walk}


def in_parallel(lanes: list[Callable[[Demo], None]], demo: Demo) -> None:
    """Run lanes side by side, one CPU thread each; a failure of one ends the demo."""
    with ThreadPoolExecutor(len(lanes)) as pool:
        for done in [pool.submit(lane, demo) for lane in lanes]:
            done.result()


def last_chain(demo: Demo) -> str:
    """Name the chain that made the pseudo masks."""
    masks = demo.folder / f'{demo.method}_cam' / mask_folder('rw_crf')
    return 'rw_crf' if masks.is_dir() else 'pamr'


def stage_names(demo: Demo) -> list[str]:
    """List the stages that have a figure, in the order of the pipeline."""
    names = ['cam_baseline', f'{demo.method}_cam', *STAGES_OF_CHAINS.values()]
    made = [name for name in names if (demo.folder / f'{name}.json').is_file()]
    return [*dict.fromkeys(made), 'segmentation', 'fully_supervised']


def collect(demo: Demo) -> dict:
    """Gather the figures of all stages, in percent."""
    stages = {}
    for name in stage_names(demo):
        found = json.loads((demo.folder / f'{name}.json').read_text())
        if 'mIoU_best' not in found:
            stages[name] = dict(miou=found['mIoU'])
            continue
        stages[name] = dict(
            miou=found['mIoU_best'],
            threshold=found['best_threshold'],
            miou_fixed=found['mIoU'],
            fixed_threshold=found['threshold'],
        )
    return stages


def samples(demo: Demo) -> list[dict]:
    """Put what every stage made of a few val images side by side."""
    with (demo.data / 'image_labels.csv').open(newline='') as lines:
        tags = {row['image_id']: row['labels'].split() for row in csv.DictReader(lines)}
    palette = METAINFO['palette']
    found = []
    for name in (demo.folder / 'samples.txt').read_text().split():
        image = np.asarray(Image.open(demo.data / 'JPEGImages' / f'{name}.jpg'))
        method = demo.folder / f'{demo.method}_cam' / 'samples'
        baseline = demo.folder / 'cam_baseline' / 'samples'
        masks = {
            'CAM mask': method / 'masks',
            'pseudo mask': method / mask_folder(last_chain(demo)),
            'segmentation': demo.folder / 'segmentation' / 'masks',
            'fully supervised': demo.folder / 'fully_supervised' / 'masks',
            'ground truth': demo.data / 'SegmentationClass',
        }
        found.append(
            dict(
                name=name,
                tags=tags[name],
                pictures={
                    'image': image,
                    'CAM baseline': draw_cam(
                        image, load_cam(baseline / 'cams' / f'{name}.npz')[1]
                    ),
                    f'{demo.method.upper()} CAM': draw_cam(
                        image, load_cam(method / 'cams' / f'{name}.npz')[1]
                    ),
                    **{
                        caption: draw_mask(
                            image, load_mask(folder / f'{name}.png'), palette
                        )
                        for caption, folder in masks.items()
                    },
                },
            )
        )
    return found


def report(demo: Demo, results: dict) -> None:
    """Write the HTML report."""
    texts = {
        'cam_baseline': ('plain CAM, best threshold', 'train'),
        f'{demo.method}_cam': (f'{demo.method.upper()} CAM, best threshold', 'train'),
        'crf': ('the same CAM after dense CRF', 'train'),
        'random_walk': ('the same CAM after the random walk', 'train'),
        'pseudo_mask': (f'pseudo masks: {CHAINS_IN_WORDS[last_chain(demo)]}', 'train'),
        'segmentation': ('DeepLabV2 trained from the pseudo masks', 'val'),
        'fully_supervised': ('the same DeepLabV2 trained from true masks', 'val'),
    }
    rows = [
        {'stage': texts[name][0], 'images': texts[name][1], 'mIoU [%]': stage['miou']}
        for name, stage in results['stages'].items()
    ]
    curves = {
        name: json.loads((demo.folder / f'{name}.json').read_text())['curve']
        for name in ('cam_baseline', f'{demo.method}_cam')
    }
    write_report(
        demo.folder / 'report.html',
        title=f'{demo.method.upper()} on SynthVOC: from image tags to a segmenter',
        stages=rows,
        samples=samples(demo),
        curves=curves,
        facts={
            'seconds': results['seconds'],
            'seed': demo.seed,
            'wsss_mm': __version__,
            'torch': torch.__version__,
            'machine': f'{platform.machine()}, {os.cpu_count()} CPUs',
        },
        notes=[
            'The best threshold looks at ground truth and is shown to compare CAMs; '
            'everything below it has a fixed background.',
            'All networks start from one classifier trained on tags, which takes the '
            'place of ImageNet weights. SynthVOC figures compare methods under one '
            'small budget; they say nothing about VOC.',
        ],
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--method', choices=sorted(METHODS), default='seam')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work-dir', default='work_dirs/demo')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    start = time.monotonic()
    with readable_errors():
        demo = Demo(Path(args.work_dir), args.method, args.seed)
        demo.run(
            'synth_voc',
            *('dataset_converters/make_synth_voc.py', str(demo.data)),
            *('--train', '450', '--val', '150', '--seed', str(args.seed)),
        )
        chosen = demo.split('val').read_text().split()[:PICTURES]
        with atomic_write(demo.folder / 'samples.txt') as part:
            part.write_text('\n'.join(chosen) + '\n')
        demo.train('pretrain', PRETRAIN)
        os.environ['OMP_NUM_THREADS'] = '1'
        in_parallel([method_lane, baseline_lane], demo)
        results = dict(
            seconds=round(time.monotonic() - start),
            seed=args.seed,
            stages=collect(demo),
        )
        with atomic_write(demo.folder / 'results.json') as part:
            part.write_text(json.dumps(results, indent=1) + '\n')
        report(demo, results)
        for name, stage in results['stages'].items():
            print(f'{name:18} mIoU {stage["miou"]:5.1f} %')
        print(f'wrote {demo.folder / "results.json"}, {demo.folder / "report.html"}')


if __name__ == '__main__':
    main()
