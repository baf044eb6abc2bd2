"""The most likely mistakes, each ending in a message that says what to do.

One line on the standard error, exit status 2, and no traceback.
"""

import re
import shutil

import numpy as np
import pytest
import torch
from mmengine.config import Config

from wsss_mm.cli.main import main
from wsss_mm.io.mask_file import save_mask
from wsss_mm.workflow.config_files import shipped


@pytest.fixture(scope='module')
def desk(synth, root, tmp_path_factory):
    """What a user has: photographs, tags, networks, masks, and some odd files."""
    folder = tmp_path_factory.mktemp('desk')
    photos = folder / 'photos'
    shutil.copytree(synth / 'JPEGImages', photos)
    names = sorted(path.name for path in photos.iterdir())
    lines = [f'{name},{"cat" if i % 2 else "dog"}' for i, name in enumerate(names)]
    tables = {
        'tags.csv': ['image,labels', *lines],
        'no_header.csv': lines,
        'flags.csv': ['image,cat,dog', f'{names[0]},1,maybe'],
        'twins.csv': ['image,labels', f'{names[0]},cat', f'{names[1]},Cat'],
        'others.csv': ['image,labels', 'DSC_0001.jpg,cat'],
        'no_tags.csv': ['image,labels', f'{names[0]},'],
        'list.txt': [names[0][:-4]],
        'tags.xlsx': ['PK'],
    }
    for name, text in tables.items():
        (folder / name).write_text('\n'.join(text) + '\n')
    for name in ('empty', 'broken', 'out', 'masks', 'truth', 'small'):
        (folder / name).mkdir()
    (folder / 'broken' / names[0]).write_bytes(b'<html>not found</html>')
    shutil.copy(photos / names[1], folder / 'broken')
    (folder / 'out' / 'coco.json').write_text('{}')
    square = np.full((8, 8), 7, np.uint8)
    save_mask(folder / 'masks' / f'{names[0][:-4]}.png', square, [[0, 0, 0]])
    save_mask(folder / 'truth' / f'{names[0][:-4]}.png', square * 0, [[0, 0, 0]])
    save_mask(folder / 'small' / f'{names[0][:-4]}.png', square[:4] * 0, [[0, 0, 0]])
    shape = dict(label='unicorn', points=[[0, 0], [1, 0], [1, 1]])
    (folder / 'labelme').mkdir()
    content = dict(shapes=[shape], imageHeight=4, imageWidth=4)
    (folder / 'labelme' / 'a.json').write_text(str(content).replace("'", '"'))
    base = shipped('configs') / 'cam' / 'cam_r18_synth.py'
    (folder / 'typo.py').write_text(f'_base_ = ["{base}"]\nmodle = dict()\n')
    (folder / 'no_python.py').write_text('model = dict(\n')
    options = {
        'model.backbone.stem_channels': 4,
        'model.backbone.base_channels': 4,
        'model.backbone.init_cfg': None,
        'model.decode_head.in_channels': 32,
    }
    for kind, suffix in (('cam', ''), ('segmenter', '_deeplabv2')):
        cfg = Config.fromfile(root / f'configs/cam/cam_r18_synth{suffix}.py')
        cfg.merge_from_dict(options)
        for split in ('train', 'val', 'test'):
            cfg[f'{split}_dataloader'].dataset.data_root = str(synth)
        cfg.dump(folder / f'{kind}.py')
    torch.save({'state_dict': {'fc.weight': torch.zeros(2)}}, folder / 'other.pth')
    return folder


MISTAKES = {
    'a command is misspelt': ('trian x', 'did you mean train'),
    'a config is misspelt': ('run cam_r18_synht', r'nearest are cam_r18_synth'),
    'a folder is given for a config': ('run photos', 'is a folder; name a config file'),
    'a config is not Python': ('run no_python.py', 'no_python.py.* Python can read'),
    'a key of a config is misspelt': ('doctor typo.py', 'did you mean model'),
    'an option is misspelt': (
        'train cam.py --cfg-options train_cfg.max_iter=9',
        'did you mean max_iters',
    ),
    'an option has no value': (
        'train cam.py --cfg-options train_cfg.max_iters',
        'expected key=value',
    ),
    'an option changes a helper variable': (
        'train cam_r18_synth --cfg-options max_iters=9',
        'changes nothing; set .*train_cfg.max_iters',
    ),
    'weights to start from are missing': (
        'train cam.py --cfg-options load_from=nowhere.pth',
        r'nowhere.pth: no such file.*--cfg-options load_from=',
    ),
    'the folder of photographs is misspelt': (
        'new phtoos --tags tags.csv',
        'phtoos: no such folder; give the folder of the photographs',
    ),
    'a folder holds no photograph': (
        'new empty --tags tags.csv',
        r'empty: holds no photograph \(.jpg',
    ),
    'the tag file is misspelt': ('new photos --tags tag.csv', 'tag.csv: give .*holds'),
    'tags are an Excel file': ('new photos --tags tags.xlsx', 'give a CSV or JSON'),
    'a table has no header': (
        'new photos --tags no_header.csv',
        "is the image; write a first line 'image_id,labels'",
    ),
    'a flag is neither 0 nor 1': (
        'new photos --tags flags.csv',
        "'maybe' in the column 'dog'; a column of a class holds 1 or 0",
    ),
    'a class is written in two ways': (
        'new photos --tags twins.csv',
        "'Cat' and 'cat'; write the class in one way",
    ),
    'tags are of other photographs': (
        'new photos --tags others.csv',
        r'no line of the tags names a photograph.* Are they of this folder\?',
    ),
    'no photograph has a tag': ('new photos --tags no_tags.csv', 'add some'),
    'tags are forgotten': ('new photos', 'give --tags FILE'),
    'a photograph is damaged': (
        'new broken --tags tags.csv',
        r'broken/.*\.jpg: .*; remove it, or get it again',
    ),
    'weights are of another network': (
        'new photos --tags tags.csv --weights other.pth',
        'leave --weights out, or give those',
    ),
    'an image is misspelt': (
        'predict segmenter.py other.pth photo',
        'photo: no such image or folder',
    ),
    'weights are of another config': (
        'predict segmenter.py other.pth photos',
        'does not fit this config .*Is it the checkpoint of another config',
    ),
    'a folder without weights': (
        'predict segmenter.py masks photos',
        'masks: no checkpoint; train into this folder first',
    ),
    'tags for a segmenter': (
        'predict segmenter.py other.pth photos --tags cat',
        '--tags and --refine are for a CAM network',
    ),
    'corrections would be written over': (
        'predict segmenter.py other.pth photos --out out --formats coco',
        'choose another --out, or add --overwrite',
    ),
    'an unknown format': (
        'predict segmenter.py other.pth photos --formats yolo',
        "invalid choice: 'yolo'",
    ),
    'a corrected label is not a class': (
        'masks segmenter.py labelme',
        r"the label 'unicorn' is not a class; correct it \(classes: ",
    ),
    'masks of another class list': (
        'eval masks truth --list list.txt --classes 3',
        r'holds the values \[7\], but there are 3 classes',
    ),
    'masks of another size': ('eval small truth --list list.txt --classes 3', 'size'),
    'the list of images is missing': (
        'eval masks truth --list lists.txt --classes 3',
        'no list file lists.txt; write one image id per line',
    ),
    'an unknown chain': ('run cam.py --refine crff', 'crff.*crf'),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_message_says_what_to_do(desk, monkeypatch, capsys, name):
    monkeypatch.chdir(desk)
    monkeypatch.setenv('WSSS_DEBUG', '')
    command, message = MISTAKES[name]
    with pytest.raises(SystemExit) as stop:
        main(command.split())
    said = capsys.readouterr()
    text = said.err + said.out
    assert stop.value.code in (1, 2)
    assert re.search(message, text, re.DOTALL), text
    assert 'Traceback' not in text


def test_there_are_twenty():
    assert len(MISTAKES) >= 20
