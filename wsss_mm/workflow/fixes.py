"""The commands that put right what is wrong with a dataset or what a config needs."""

import os
import re
import shlex
from pathlib import Path
from typing import Any

from wsss_mm.io.json_text import read_object
from wsss_mm.workflow.config_files import tool_command

CONVERTERS = {
    'COCOImageLabelDataset': ('coco14.py', '{root}'),
    'SynthVOCDataset': ('make_synth_voc.py', '{root}'),
    'VOCImageLabelDataset': (
        'voc12.py',
        'VOCtrainval_11-May-2012.tar --sbd benchmark.tgz --out {root}',
    ),
}
SAID = {
    'strays': 'nothing reads them: delete them, or add their images',
    'links': 'put a file of its own in the place of each link, or leave one image out',
    'absent': 'look at the masks, if the classes are to be there',
    'values': 'save class indices, 8-bit palette or grey, 255 for pixels to ignore',
}
PRETRAIN = 'configs/cam/cam_r18_synth_pretrain.py'
# What makes the weights that our configs start from, by the name of their file.
WEIGHTS = {
    'resnet38_imagenet.pth': 'ilsvrc-cls_rna-a1_cls1000_ep-0001.params',
    'vgg16_imagenet.pth': 'vgg16_20M.caffemodel',
    'resnest50_imagenet.pth': 'resnest50-528c19ca.pth',
    'resnest101_imagenet.pth': 'resnest101-22405ba7.pth',
    'resnest269_imagenet.pth': 'resnest269-0cc87c48.pth',
    'clip_vit_b16.pth': 'ViT-B-16.pt',
}
# Where authors publish what the commands above convert, and how to know it is whole.
CLIP_SHA256 = '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f'
SOURCES = {
    'ViT-B-16.pt': (
        'OpenAI publishes ViT-B-16.pt, about 350 MB, at https://openaipublic.azureedge.'
        f'net/clip/models/{CLIP_SHA256}/ViT-B-16.pt; its SHA-256 is {CLIP_SHA256}'
    ),
}


def fix_of_weights(path: str) -> str:
    """Give the command that makes a file of weights that one of our configs names."""
    name = os.path.basename(path)
    if name in WEIGHTS:
        return f'wsss convert {WEIGHTS[name]} {shlex.quote(path)}'
    if os.path.join(Path(PRETRAIN).stem, '') in path:
        return f'wsss train {PRETRAIN}'
    return f'wsss convert SOURCE {shlex.quote(path)}'


def where_weights_are_from(path: str) -> str:
    """Say how to get a file of weights that one of our configs names."""
    source = WEIGHTS.get(os.path.basename(path), '')
    if source in SOURCES:
        return f'make it with: {fix_of_weights(path)}. {SOURCES[source]}'
    return 'the comments of the config say where they come from'


def cam_config(path: str) -> str:
    """Name the CAM config that the config of a later stage belongs to."""
    given = Path(path)
    first = given.with_name(re.sub('_(affinity|deeplab).*', '', given.stem) + '.py')
    return str(first) if first != given and first.is_file() else 'CONFIG'


def converter(kind: str, root: str) -> str:
    """Give the command that makes or completes a dataset of ours."""
    place = shlex.quote(root)
    if kind == 'VOCImageLabelDataset' and Path(root).name == 'voc_mini':
        tool, arguments = 'voc_mini.py', 'data/VOCdevkit/VOC2012 {root}'
    else:
        tool, arguments = CONVERTERS[kind]
    tool = tool_command(f'dataset_converters/{tool}')
    command = f'{tool} {arguments.format(root=place)}'
    # A finished SynthVOC is left as it is, however damaged.
    options = drawn_with(root) if kind == 'SynthVOCDataset' else None
    return command if options is None else f'rm -r {place} && {command} {options}'


def drawn_with(root: str) -> str | None:
    """Give the options that the SynthVOC in a folder was generated with."""
    from wsss_mm.datasets.synth_voc import MANIFEST

    try:
        numbers = read_object(Path(root) / MANIFEST, kind='a manifest')
        options = [(key, int(numbers[key])) for key in ('train', 'val', 'seed', 'size')]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ' '.join(f'--{key} {value}' for key, value in options)


def fix_of_data(kind: str, dataset: Any, target: str, *, pseudo: bool) -> str:
    """Say how to put right a kind of problem of a dataset; its masks may be ours."""
    root = dataset.data_root or '.'
    own = type(dataset).__name__ == 'ImageLabelDataset'
    if kind == 'classes':
        return f"write metainfo=dict(classes=('background', ...)) into {target}"
    if pseudo and kind in ('masks', 'sizes'):
        first = cam_config(target)
        if not os.path.isdir(dataset.data_prefix['seg_map_path']):
            return f'wsss run {first}'
        work = f'work_dirs/{Path(first).stem}'
        tool = tool_command('gen_pseudo.py')
        return f'{tool} {first} {work}/cam --out {work} --overwrite'
    if kind in SAID:
        return SAID[kind]
    table = dataset.tag_source == 'file' and os.path.isfile(dataset._tag_path())
    if kind == 'tags' and table:
        classes = '' if os.path.isdir(target) else f', or the classes in {target}'
        return f'edit {dataset._tag_path()}{classes}'
    if own:
        source = dataset.ann_file or dataset._tag_path()
        return {
            'list': f'write one image id a line into {dataset.ann_file}',
            'folder': f'correct data_root or data_prefix in {target}',
            'images': f'add them, or take their lines out of {source}',
            'unreadable': f'get them again, or take their lines out of {source}',
            'tags': f'make {dataset._tag_path()}, see "Your own images" in README.md',
        }.get(kind, 'get or make these files again')
    redone = type(dataset).__name__ == 'SynthVOCDataset'
    if kind in ('unreadable', 'masks', 'sizes') and not redone:
        return f'delete these files, then: {converter(type(dataset).__name__, root)}'
    return converter(type(dataset).__name__, root)
