"""Show methods end to end on SynthVOC: tags, CAMs, pseudo masks, DeepLab, a report.

Beside them run the plain CAM baseline and the same DeepLab trained on true masks. All
networks start from one tag classifier, which stands in for ImageNet weights.
"""

import importlib.util
import json
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from wsss_mm.engine.hooks.pseudo_label_hook import CAM_FOLDER
from wsss_mm.io.atomic import atomic_write
from wsss_mm.utils.logging import LOGGER
from wsss_mm.workflow.demo_report import collect, report
from wsss_mm.workflow.demo_stages import (
    BASELINE,
    METHODS,
    PLAIN,
    SUPERVISED,
    Demo,
    network_of,
)
from wsss_mm.workflow.folders import SEED_FOLDER, mask_folder
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.method import affinity_config, segmenter_config

PRETRAIN = 'configs/cam/cam_r18_synth_pretrain.py'
SEGMENTER = 'configs/supervised/deeplabv2_r18_synth.py'
PICTURES = 8
# Each lane computes on one CPU; more would need more memory too.
LANES = 2


def baseline_lane(demo: Demo) -> None:
    """Plain CAM, scored raw and after dense CRF."""
    out, train = demo.folder / BASELINE, demo.split('train')
    demo.train(BASELINE, PLAIN, {'load_from': demo.pretrained})
    # Methods that share the network train a segmenter from what it makes of more.
    shared = BASELINE in map(network_of, demo.methods)
    demo.cams(BASELINE, PLAIN, demo.split('trainaug') if shared else train, out)
    evaluate_cams(demo, BASELINE, PLAIN)
    if crf_is_installed():
        demo.refine(BASELINE, PLAIN, train, out, chain='crf')
        demo.evaluate(f'{BASELINE}_crf', out / mask_folder('crf'))
    demo.cams(BASELINE, PLAIN, demo.folder / 'samples.txt', out / 'samples')


def supervised_lane(demo: Demo) -> None:
    """The yardstick: a segmenter trained from true masks."""
    demo.segment(SUPERVISED, SEGMENTER, None)


def evaluate_cams(demo: Demo, name: str, config: str) -> None:
    """Score the CAMs of a network at all thresholds and at the config's."""
    threshold = load_config(config).model.test_cfg.background_threshold
    demo.evaluate(name, demo.folder / name / CAM_FOLDER, threshold=threshold)


def method_lane(
    demo: Demo, method: str, baseline: Future[None], pool: ThreadPoolExecutor
) -> Future[None]:
    """A method's CAMs, their masks, and the segmenter trained from them.

    All else that is shown of the method goes to another lane, which is returned.
    """
    settings, name = METHODS[method], network_of(method)
    config, out, split = settings.config, demo.folder / name, demo.split('trainaug')
    if name == BASELINE:
        baseline.result()
    else:
        demo.train(name, config, {'load_from': demo.pretrained})
        demo.cams(name, config, split, out)
    *_, chain = settings.chains(crf=crf_is_installed())
    walk = train_affinity(demo, method) if 'rw' in chain else None
    demo.refine(name, config, split, out, chain=chain, walk=walk)
    others = pool.submit(comparison_lane, demo, method, walk)
    masks = out / mask_folder(chain)
    demo.segment(f'{method}_segmentation', segmenter_config(config), masks)
    return others


def comparison_lane(demo: Demo, method: str, walk: tuple[Path, Path] | None) -> None:
    """What no segmenter waits for: scores, and the masks that are shown."""
    settings, name = METHODS[method], network_of(method)
    config, out = settings.config, demo.folder / name
    if name != BASELINE:
        evaluate_cams(demo, name, config)
    chains = settings.chains(crf=crf_is_installed())
    for chain, stage in chains.items():
        along = walk if 'rw' in chain else None
        if stage != 'pseudo_mask':
            split = demo.split('train')
            demo.refine(name, config, split, out, chain=chain, walk=along)
        demo.evaluate(f'{method}_{stage}', out / mask_folder(chain))
    *_, last = chains
    shown, samples = demo.folder / 'samples.txt', out / 'samples'
    along = walk if 'rw' in last else None
    demo.refine(name, config, shown, samples, chain=last, walk=along)


def crf_is_installed() -> bool:
    """Say whether dense CRF can run."""
    return importlib.util.find_spec('pydensecrf') is not None


def train_affinity(demo: Demo, method: str) -> tuple[Path, Path]:
    """Train a method's affinity network; return its config and folder."""
    config, name = METHODS[method].config, network_of(method)
    out, network = demo.folder / name, affinity_config(config)
    demo.seed_scores(name, config, demo.split('trainaug'), out)
    scores = out / SEED_FOLDER
    key = 'train_dataloader.dataset.data_prefix.seed_scores_path'
    more = {key: str(scores.resolve()), 'load_from': demo.pretrained}
    demo.train(f'{method}_affinity', network, more, scores)
    return network, demo.folder / f'{method}_affinity'


def run_lanes(demo: Demo) -> None:
    """Run the lanes, a few at a time; a failure of one ends the demo."""
    with ThreadPoolExecutor(LANES) as pool:
        # First, since others may wait for it.
        baseline = pool.submit(baseline_lane, demo)
        networks = sorted(demo.methods, key=lambda name: network_of(name) == BASELINE)
        lanes = [
            pool.submit(method_lane, demo, name, baseline, pool) for name in networks
        ]
        supervised = pool.submit(supervised_lane, demo)
        try:
            baseline.result()
            others = [lane.result() for lane in lanes]
            for lane in (supervised, *others):
                lane.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def prepare(demo: Demo) -> None:
    """Make the images, choose those that are shown, train the first classifier."""
    demo.make_data(train=450, val=150)
    chosen = demo.split('val').read_text().split()[:PICTURES]
    with atomic_write(demo.folder / 'samples.txt') as part:
        part.write_text('\n'.join(chosen) + '\n')
    demo.train('pretrain', PRETRAIN, {})


def run_demo(folder: Path, methods: tuple[str, ...], *, seed: int) -> dict[str, Any]:
    """Show methods from tags to a report; stages that are done are skipped.

    Args:
        folder: Receives everything; ``results.json`` and ``report.html`` last.
        methods: Names out of `METHODS`.
        seed: Of the images and of all networks.

    Returns:
        What ``results.json`` holds: the figures of each stage, by method.

    Raises:
        InputError: If a stage fails.
    """
    start = time.monotonic()
    demo = Demo(folder, methods, seed)
    if not crf_is_installed():
        LOGGER.info(
            'dense CRF is not installed (pip install -r requirements/crf.txt): '
            'PAMR refines the masks instead, and there is no random walk'
        )
    prepare(demo)
    os.environ['OMP_NUM_THREADS'] = '1'
    run_lanes(demo)
    seconds = round(time.monotonic() - start)
    results = dict(seconds=seconds, seed=seed, **collect(demo))
    with atomic_write(folder / 'results.json') as part:
        part.write_text(json.dumps(results, indent=1) + '\n')
    report(demo, results)
    return results
