"""CLIP-ES for one image against a plain loop of its published procedure."""

import argparse
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from measuring import MIB, peak_bytes, reset_peak
from torch import Tensor

from wsss_mm.functional import box_mask, stretch
from wsss_mm.utils.errors import InputError

CLASSES, BACKGROUNDS = 20, 25
SIDES = ('published', 'ours')


def add_clip_es(commands: Any) -> None:
    """Declare the options of the subcommand."""
    parser = commands.add_parser(
        'clip_es',
        help='CLIP-ES for an image of some tags, against its published procedure',
        description='Time and memory of the refined CAMs of one image by a full-size '
        'CLIP with random weights. The published procedure runs the last block once '
        'for each tag, differentiates all of it, weights included, and balances and '
        'squares the attention once for each tag; features of words are ready on both '
        'sides. Memory is the peak resident set minus what was resident before, each '
        'side in a process of its own.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--json', type=Path, required=True, help='file to write')
    parser.add_argument('--height', type=int, default=375, help='of the image')
    parser.add_argument('--width', type=int, default=500, help='of the image')
    parser.add_argument('--tags', type=int, nargs='+', default=[1, 3, 6])
    parser.add_argument('--rounds', type=int, default=3, help='paired timing rounds')
    parser.add_argument('--seed', type=int, default=0, help='of weights and image')
    parser.set_defaults(run=run_clip_es)


def build(args: argparse.Namespace) -> tuple[Any, Tensor, Tensor]:
    """Build the network with random weights, an image and features of words."""
    from mmengine.registry import init_default_scope

    from wsss_mm.models.decode_heads import CLIPESHead
    from wsss_mm.models.segmentors.cam_encoder_decoder import CAMEncoderDecoder

    init_default_scope('mmseg')
    torch.manual_seed(args.seed)
    network = CAMEncoderDecoder(
        backbone=dict(
            type='CLIPVisionTransformer', out_indices=(10,), attention_layers=7
        ),
        decode_head=dict(type='CLIPESHead', num_classes=CLASSES + 1),
        data_preprocessor=dict(type='SegDataPreProcessor'),
        test_cfg=dict(normalization='none', background_threshold=0.5),
    ).eval()
    if not isinstance(network.decode_head, CLIPESHead):
        raise InputError('the head is not that of CLIP-ES')
    network.backbone.init_weights()
    structured(network)
    image = torch.randn(1, 3, args.height, args.width)
    words = torch.nn.functional.normalize(
        torch.randn(CLASSES + BACKGROUNDS, 512), dim=-1
    )
    network.decode_head.word_features = lambda _: (words[:CLASSES], words[CLASSES:])
    return network, image, words


def structured(network: Any) -> None:
    """Let tokens attend to similar ones, so that maps have a shape to compare."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith('in_proj_weight'):
                width = parameter.shape[1]
                parameter.normal_(std=2 * width**-0.5)
                parameter[width : 2 * width] += 0.25 * parameter[:width]
            elif parameter.ndim == 2 and 'proj' not in name:
                parameter.normal_(std=parameter.shape[1] ** -0.5)


def ours(network: Any, image: Tensor, words: Tensor, tags: int) -> Tensor:
    """Predict refined maps of the tags, in cells, (n, h, w)."""
    from wsss_mm.models.structures import View, identity

    labels = torch.zeros(1, CLASSES)
    labels[:, :tags] = 1
    with torch.no_grad():
        context = network.look({'full': View(image, identity)}, image_labels=labels)
        maps, _ = network.decode_head.predict(context)
    return maps[0, :tags]


def published(network: Any, image: Tensor, words: Tensor, tags: int) -> Tensor:
    """Do the same tag by tag, as the released code does."""
    # The released code computes the attention of every block.
    network.backbone.attention_layers = None
    output = network.backbone(image)
    network.backbone.attention_layers = 7
    size = output.maps[-1].shape[-2:]
    patches = output.maps[-1].flatten(2).transpose(1, 2)
    tokens = torch.cat([output.class_tokens[-1][:, None], patches], dim=1)
    attention = [one[0, 0] for one in output.attention]
    last = network.decode_head.last_block.requires_grad_(True)
    block = last.block
    text = torch.cat([words[:tags], words[CLASSES:]])
    refined = []
    for tag in range(tags):
        last.zero_grad()
        normed = block.norm1(tokens)
        normed.retain_grad()
        given = normed.transpose(0, 1)
        attended, weights = block.attn.attn(given, given, given)
        x = tokens + attended.transpose(0, 1)
        x = block.ffn(block.norm2(x), identity=x)
        feature = last.project(x)[:, 1:].mean(dim=1)
        feature = feature / feature.norm(dim=-1, keepdim=True)
        scores = (last.scale * feature @ text.T).softmax(dim=-1)
        scores[0, tag].backward(retain_graph=True)
        channel = normed.grad[0, 1:].mean(dim=0)
        cam = (normed.detach()[0, 1:] * channel).sum(-1).view(size).relu()
        cam = stretch(stretch(cam))  # a saturated softmax has tiny gradients
        if tag == 0:
            attention.append(weights[0].detach())
            cut = torch.stack([one[1:, 1:] for one in attention])
            affinity = cut[-8:].mean(dim=0)
        boxes = box_mask(cam[None], threshold=0.4)[0]
        matrix = affinity
        for _ in range(3):
            matrix = matrix / matrix.sum(dim=0, keepdim=True)
            matrix = matrix / matrix.sum(dim=1, keepdim=True)
        matrix = (matrix + matrix.T) / 2
        matrix = (matrix @ matrix) * boxes.flatten().float()
        refined.append((matrix @ cam.flatten()).view(size))
    return stretch(torch.stack(refined))


def peak_of(side: str, args: argparse.Namespace, tags: int) -> float:
    """Measure the peak of one side above its network, in MiB."""
    network, image, words = build(args)
    before = reset_peak()
    {'ours': ours, 'published': published}[side](network, image, words, tags)
    return (peak_bytes() - before) / MIB


def peak_in_a_process(side: str, args: argparse.Namespace, tags: int) -> float:
    """Measure the peak of one side in a process of its own, in MiB."""
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(peak_of, side, args, tags).result()


def run_clip_es(args: argparse.Namespace) -> dict[str, Any]:
    """Measure both sides for every number of tags."""
    if not args.tags or not 1 <= min(args.tags) <= max(args.tags) <= CLASSES:
        raise InputError(f'--tags: give numbers in 1..{CLASSES}')
    sides = {'published': published, 'ours': ours}
    network, image, words = build(args)
    results: dict[str, Any] = {}
    for tags in args.tags:
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        maps: dict[str, Tensor] = {}
        for _ in range(args.rounds):
            for side in SIDES:
                network.decode_head.last_block.requires_grad_(False)
                start = time.process_time()
                maps[side] = sides[side](network, image, words, tags)
                seconds[side].append(time.process_time() - start)
        medians = {side: statistics.median(seconds[side]) for side in SIDES}
        peaks = {side: peak_in_a_process(side, args, tags) for side in SIDES}
        ratio = medians['published'] / medians['ours']
        error = float((maps['ours'] - maps['published']).abs().max())
        results[str(tags)] = dict(
            cpu_seconds=seconds, ratio=ratio, peak_mib=peaks, largest_difference=error
        )
        print(
            f'{tags} tags: {medians["published"]:.2f} s published, '
            f'{medians["ours"]:.2f} s ours (CPU time), {ratio:.2f} x; peak '
            f'{peaks["published"]:.0f} and {peaks["ours"]:.0f} MiB; maps differ by '
            f'{error:.1e} at most'
        )
    return results
