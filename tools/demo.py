"""Show a method end to end on SynthVOC: tags, CAMs, pseudo masks, DeepLab, a report.

Beside it run the plain CAM baseline and the same DeepLab trained on true masks.
All networks start from one tag classifier, which stands in for ImageNet weights.
"""

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from demo_report import collect, report
from demo_stages import STAGES_OF_CHAINS, Demo

from wsss_mm.engine.launch import load_config, readable_errors
from wsss_mm.engine.pipeline import affinity_config, segmenter_config
from wsss_mm.engine.refine import SEED_FOLDER, mask_folder
from wsss_mm.io.atomic import atomic_write

METHODS = {'seam': 'configs/seam/seam_r18_synth.py'}
BASELINE = 'configs/cam/cam_r18_synth.py'
PRETRAIN = 'configs/cam/cam_r18_synth_pretrain.py'
SUPERVISED = 'configs/supervised/deeplabv2_r18_synth.py'
PICTURES = 8


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
    if crf_is_installed():
        demo.pseudo(
            'cam_baseline', BASELINE, demo.split('train'), out, '--refine', 'crf'
        )
        demo.evaluate('cam_baseline_crf', out / mask_folder('crf'))
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
        # The others are only there to be scored.
        split = demo.split('trainaug' if chain == chains[-1] else 'train')
        demo.pseudo(name, config, split, out, *refine)
        demo.evaluate(STAGES_OF_CHAINS[chain], out / mask_folder(chain))
    # The last chain makes what the segmenter learns from, and what is shown.
    demo.pseudo(name, config, demo.folder / 'samples.txt', out / 'samples', *refine)
    masks = out / mask_folder(chain)
    demo.segment('segmentation', str(segmenter_config(config)), masks)


def crf_is_installed() -> bool:
    """Tell whether dense CRF can run."""
    return importlib.util.find_spec('pydensecrf') is not None


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
        if not crf_is_installed():
            print(
                'dense CRF is not installed (pip install -r requirements/crf.txt): '
                'PAMR refines the masks instead, and there is no random walk'
            )
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
