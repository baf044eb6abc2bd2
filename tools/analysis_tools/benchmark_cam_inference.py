"""Multi-scale CAMs of an image: present classes in cells, against all at full size."""

import argparse
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from measuring import MIB, peak_bytes, reset_peak, summary
from PIL import Image

from wsss_mm.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


def add_cam_inference(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'cam_inference',
        help='4 scales x 2 mirrors of an image, against the loop of released code',
        description='Time and peak memory from an image file to its CAMs, 4 scales and '
        'their mirrors. The plain side does what released inference does: a forward '
        'pass a view, every class enlarged to the image, moved to the host, '
        'multiplied by the tags, kept in a list, summed and normalised. Weights are '
        'random; the largest difference of the CAMs is reported.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument(
        '--config',
        default=str(ROOT / 'configs/cam/cam_mbv2_voc_mini.py'),
        help='of a CAM network, which gets random weights',
    )
    parser.add_argument('--classes', type=int, default=20, help='C, foreground alone')
    parser.add_argument('--present', type=int, default=2, help='tags of an image')
    parser.add_argument('--data', type=Path, help='folder of photographs; else noise')
    parser.add_argument('--images', type=int, default=10, help='a round')
    parser.add_argument('--size', type=int, default=500, help='long side of noise')
    parser.add_argument('--rounds', type=int, default=5, help='paired timing rounds')
    parser.add_argument('--seed', type=int, default=0, help='of weights and tags')
    parser.set_defaults(run=run_cam_inference)


def run_cam_inference(args: argparse.Namespace) -> dict[str, Any]:
    """Measure both sides in turn, each round of each in a process of its own."""
    for name in ('classes', 'present', 'images', 'size', 'rounds'):
        if getattr(args, name) < 1:
            raise InputError(f'--{name} must be positive, got {getattr(args, name)}')
    if args.present > args.classes:
        raise InputError(f'--present {args.present} of only {args.classes} classes')
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        jobs = draw_jobs(args, Path(folder))
        for _ in range(args.rounds):
            cams = []
            for name in SIDES:
                with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
                    figures, maps = pool.submit(measure, args, name, jobs).result()
                found[name].append(figures)
                cams.append(maps)
            for one, other in zip(*cams):
                worst = max(worst, float(np.abs(one - other).max()))
    names = ('classes', 'present', 'images', 'rounds')
    pairs = list(zip(*found.values()))
    return {
        'setting': {
            **{name: getattr(args, name) for name in names},
            'config': Path(args.config).stem,
            'data': 'noise' if args.data is None else args.data.name,
        },
        'an_image': {name: summary(rounds) for name, rounds in found.items()},
        'plain_over_ours': summary(
            [{name: one[name] / other[name] for name in one} for one, other in pairs]
        ),
        'largest_difference_of_a_cam': worst,
    }


def measure(
    args: argparse.Namespace, side: str, jobs: list[dict[str, Any]]
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Predict all images in this process; give seconds, memory and CAMs."""
    from wsss_mm.utils.memory import use_huge_pages

    predict = SIDES[side]
    if predict is ours:
        use_huge_pages()  # as the tools do
    model, pipeline = build(args)
    predict(model, pipeline(dict(jobs[0])))
    before, wall, cpu = reset_peak(), time.perf_counter(), time.process_time()
    cams = [predict(model, pipeline(dict(job))) for job in jobs]
    figures = {
        'wall': (time.perf_counter() - wall) / len(jobs),
        'cpu': (time.process_time() - cpu) / len(jobs),
        'peak_mib_above_start': (peak_bytes() - before) / MIB,
    }
    return figures, cams


def build(args: argparse.Namespace) -> tuple[Any, Any]:
    """Build the network that fuses views, and its pipeline."""
    import torch
    from mmcv.transforms import Compose

    from wsss_mm.registry import MODELS
    from wsss_mm.workflow.launch import load_config, register_components

    cfg = load_config(args.config)
    register_components(cfg)
    torch.manual_seed(args.seed)
    cfg.model.decode_head.num_classes = args.classes + 1
    cfg.model.backbone.init_cfg = None
    module = MODELS.build(cfg.model)
    # Strong enough for CAMs that do not vanish.
    for parameter in module.decode_head.parameters():
        torch.nn.init.normal_(parameter)
    model = MODELS.build(dict(cfg.tta_model, module=module)).eval()
    return model, Compose(cfg.tta_pipeline)


def draw_jobs(args: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """List the images with random tags."""
    from wsss_mm.apis.images import list_images

    rng = np.random.default_rng(args.seed)
    if args.data is None:
        size = (args.size * 3 // 4, args.size, 3)
        for number in range(args.images):
            noise = rng.integers(0, 256, size, dtype=np.uint8)
            Image.fromarray(noise).save(folder / f'{number}.png')
    images = list_images(args.data or folder)[: args.images]
    jobs = []
    for image in images:
        labels = np.zeros(args.classes, np.float32)
        labels[rng.choice(args.classes, args.present, replace=False)] = 1
        jobs.append({**image.results(), 'image_labels': labels})
    return jobs


def ours(model: Any, packed: Any) -> np.ndarray:
    """Predict as the tools do; give the CAMs of the present classes."""
    import torch
    from mmengine.dataset import pseudo_collate

    with torch.no_grad():
        (sample,) = model.test_step(pseudo_collate([packed]))
    maps: np.ndarray = sample.cam.maps.cpu().numpy()
    return maps


def plain(model: Any, packed: Any) -> np.ndarray:
    """Predict view by view, all classes at full size, as released inference does."""
    import torch
    from mmengine.dataset import pseudo_collate

    from wsss_mm.models.segmentors.cam_prediction import normalise
    from wsss_mm.models.structures import View, identity

    module = model.module
    head = module.decode_head
    maps = []
    for inputs, sample in zip(packed['inputs'], packed['data_samples']):
        batch = pseudo_collate([dict(inputs=inputs, data_samples=sample)])
        prepared = module.data_preprocessor(batch, False)
        with torch.no_grad():
            view = View(prepared['inputs'], identity)
            context = module.look({'full': view}, image_labels=None)
            cams, _ = head.predict(context)
            size = sample.metainfo['ori_shape'][:2]
            large = head.to_image(cams[0], context.input_size(), size)
        labels = sample.image_labels.numpy()
        cam = large.cpu().numpy() * labels[:, None, None]
        maps.append(cam[..., ::-1] if sample.metainfo.get('flip') else cam)
    total = torch.from_numpy(np.sum(maps, axis=0))
    present = labels.nonzero()[0]
    normalised = normalise(module.test_cfg['normalization'], total)
    maps_of_tags: np.ndarray = normalised.numpy()[present]
    return maps_of_tags


SIDES: dict[str, Callable[[Any, Any], np.ndarray]] = {'plain': plain, 'ours': ours}
