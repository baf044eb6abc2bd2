"""Masks of a segmenter, for a person to correct, and back."""

import json

import numpy as np
import pytest
from PIL import Image

from wsss_mm import MaskExport, SegmentationInferencer, import_masks, read_annotations
from wsss_mm.apis.export import PLACES
from wsss_mm.cli.main import main
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.mask_file import load_mask
from wsss_mm.utils.errors import InputError
from wsss_mm.visualization import draw_mask


@pytest.fixture
def photos(synth, tmp_path):
    """Two photographs in folders of their own."""
    files = sorted((synth / 'JPEGImages').glob('*.jpg'))[:2]
    for day, file in zip(('monday', 'tuesday'), files):
        target = tmp_path / 'photos' / day / 'IMG 1.jpg'
        target.parent.mkdir(parents=True)
        target.write_bytes(file.read_bytes())
    return tmp_path / 'photos'


@pytest.fixture
def predicted(segmenter, photos, tmp_path, capsys):
    """What `wsss predict` leaves and says, with all formats."""
    arguments = ['predict', str(segmenter.config), str(segmenter.checkpoint)]
    arguments += [str(photos), '--out', str(tmp_path / 'out'), '--device', 'cpu']
    main([*arguments, '--formats', *PLACES])
    return tmp_path / 'out', capsys.readouterr().out, arguments


def test_every_format_holds_the_masks(predicted, segmenter, photos):
    out, said, _ = predicted
    assert f'wrote 2 masks to {out}/masks' in said
    masks = {}
    for day in ('monday', 'tuesday'):
        mask = load_mask(out / 'masks' / day / 'IMG 1.png')
        masks[f'{day}/IMG 1'] = mask
        assert (np.asarray(Image.open(out / 'grey' / day / 'IMG 1.png')) == mask).all()
        with Image.open(out / 'grey' / day / 'IMG 1.png') as grey:
            assert grey.mode == 'L'
    assert any(len(np.unique(mask)) > 1 for mask in masks.values())
    meta = SegmentationInferencer(segmenter.config, segmenter.checkpoint).network
    for name in ('coco', 'coco-polygons', 'cvat', 'labelme'):
        assert f'{name}: {out / PLACES[name]}' in said
        found = list(read_annotations(out / PLACES[name], meta.class_names))
        assert {one.name for one in found} == set(masks)
        for one in found:
            np.testing.assert_array_equal(one.mask, masks[one.name])
    image = read_rgb(photos / 'monday/IMG 1.jpg')
    drawn = draw_mask(image, masks['monday/IMG 1'], meta.palette)
    overlay = read_rgb(out / 'overlays/monday/IMG 1.png')
    np.testing.assert_array_equal(overlay, drawn)
    content = json.loads((out / 'labelme/monday/IMG 1.json').read_text())
    opened = out / 'labelme/monday' / content['imagePath']
    assert opened.resolve() == (photos / 'monday/IMG 1.jpg').resolve()


def test_corrected_masks_come_back(predicted, segmenter, tmp_path, capsys):
    out, _, _ = predicted
    path = out / 'labelme/monday/IMG 1.json'
    content = json.loads(path.read_text())
    network = SegmentationInferencer(segmenter.config, segmenter.checkpoint).network
    label = network.class_names[3]
    corners = [[2, 3], [9, 3], [9, 8], [2, 8]]
    content['shapes'].append(dict(label=label, points=corners, shape_type='polygon'))
    path.write_text(json.dumps(content))
    arguments = ['masks', str(segmenter.config), str(out / 'labelme')]
    main([*arguments, '--out', str(tmp_path / 'corrected')])
    assert f'wrote 2 masks to {tmp_path}/corrected' in capsys.readouterr().out
    expected = load_mask(out / 'masks/monday/IMG 1.png').copy()
    expected[3:8, 2:9] = 3
    corrected = load_mask(tmp_path / 'corrected/monday/IMG 1.png')
    np.testing.assert_array_equal(corrected, expected)


def test_corrections_are_not_written_over(predicted, capsys):
    out, _, arguments = predicted
    with pytest.raises(SystemExit):
        main([*arguments, '--formats', 'grey', 'labelme'])
    said = capsys.readouterr().err
    assert f'{out}/labelme is there already, and somebody may have corrected it' in said
    main([*arguments, '--formats', 'grey', 'labelme', '--overwrite'])


def test_a_pattern_and_files_of_one_name_keep_their_folders(
    segmenter, photos, tmp_path
):
    inferencer = SegmentationInferencer(
        segmenter.config, segmenter.checkpoint, device='cpu'
    )
    names = ['monday/IMG 1', 'tuesday/IMG 1']
    for given in (f'{photos}/*/*.jpg', sorted(photos.rglob('*.jpg'))):
        assert [one.name for one in inferencer(given)] == names
    with pytest.raises(InputError, match=r'no image .* is called like this'):
        inferencer(f'{photos}/*.png')


def test_others_are_refused(tmp_path):
    with pytest.raises(InputError, match="no format 'yolo'; there are coco, "):
        MaskExport(tmp_path, ['yolo'])
    (tmp_path / 'a.txt').write_text('')
    with pytest.raises(InputError, match='give COCO'):
        import_masks(
            tmp_path / 'a.txt', tmp_path, class_names=['background', 'a'], palette=[]
        )
