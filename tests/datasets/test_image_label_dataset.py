import numpy as np
import pytest
from mmengine.registry import init_default_scope
from PIL import Image

from wsss_mm.datasets import (
    ImageLabelDataset,
    SynthVOCDataset,
    VOCImageLabelDataset,
)
from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.io.mask_file import save_mask
from wsss_mm.registry import DATASETS

META = dict(classes=('background', 'cat', 'dog'))


@pytest.fixture
def folder(tmp_path):
    """Three images of odd names, one without tags, with masks."""
    for name in ('sub/a.b.JPG', 'c d.png', 'e.jpeg'):
        path = tmp_path / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image_format = 'PNG' if name.endswith('png') else 'JPEG'
        Image.new('RGB', (6, 5)).save(path, format=image_format)
    (tmp_path / 'tags.csv').write_text(
        'image_id,labels\nsub/a.b,dog\nc d.png,cat dog\ne,\n'
    )
    for index, name in enumerate(('sub/a.b', 'c d', 'e')):
        mask = np.full((5, 6), index, np.uint8)
        save_mask(tmp_path / 'masks' / f'{name}.png', mask, [[0, 0, 0]])
    return tmp_path


def build(folder, **settings):
    base = dict(
        data_root=str(folder),
        tags='tags.csv',
        data_prefix=dict(img_path='images'),
        metainfo=META,
    )
    return ImageLabelDataset(**{**base, **settings})


def test_any_folder_with_a_csv(folder):
    dataset = build(folder)
    items = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [item['img_id'] for item in items] == ['sub/a.b', 'c d', 'e']
    assert [item['image_labels'].tolist() for item in items] == [[0, 1], [1, 1], [0, 0]]
    assert items[0]['image_labels'].dtype == np.float32
    assert items[0]['img_path'].endswith('images/sub/a.b.JPG')
    assert not any('seg_map_path' in item for item in items)
    assert dataset.metainfo['palette'][1] == [128, 0, 0]


def test_it_builds_from_a_config(folder):
    init_default_scope('mmseg')
    dataset = DATASETS.build(
        dict(
            type='ImageLabelDataset',
            data_root=str(folder),
            tags='tags.csv',
            data_prefix=dict(img_path='images', seg_map_path=None),
            metainfo=META,
            pipeline=[
                dict(type='LoadImageFromFile', imdecode_backend='pillow'),
                dict(type='BGRToRGB'),
                dict(type='PackWSSSInputs'),
            ],
        )
    )
    item = dataset[1]
    assert item['inputs'].shape == (3, 5, 6)
    assert item['data_samples'].image_labels.tolist() == [1, 1]
    assert item['data_samples'].img_id == 'c d'


def test_a_list_chooses_and_orders_the_images(folder):
    (folder / 'list.txt').write_text('e\n\nsub/a.b\n')
    dataset = build(folder, ann_file='list.txt')
    assert [dataset.get_data_info(i)['img_id'] for i in range(2)] == ['e', 'sub/a.b']


def test_two_images_with_one_stem_are_refused(folder):
    Image.new('RGB', (6, 5)).save(folder / 'images/e.png')
    (folder / 'list.txt').write_text('e.png\ne.jpeg\n')
    with pytest.raises(ValueError, match=r"'e\.png' and 'e\.jpeg' differ.*rename one"):
        build(folder, ann_file='list.txt', tags=None)


def test_masks_only_where_asked_for(folder):
    prefix = dict(img_path='images', seg_map_path='masks')
    item = build(folder, data_prefix=prefix).get_data_info(0)
    assert item['seg_map_path'].endswith('masks/sub/a.b.png')
    assert item['mask_classes'] == 3


def test_tags_may_come_from_masks(folder):
    (folder / 'list.txt').write_text('sub/a.b\nc d\ne\n')
    dataset = build(folder, ann_file='list.txt', tags='masks', tag_source='masks')
    labels = [dataset.get_data_info(i)['image_labels'].tolist() for i in range(3)]
    assert labels == [[0, 0], [1, 0], [0, 1]]
    assert 'seg_map_path' not in dataset.get_data_info(0)


def test_without_tags_there_are_no_labels(folder):
    (folder / 'list.txt').write_text('e\n')
    dataset = build(folder, ann_file='list.txt', tags=None)
    assert 'image_labels' not in dataset.get_data_info(0)


@pytest.mark.parametrize(
    'settings, match',
    [
        (dict(metainfo=None), 'has no classes; give metainfo'),
        (dict(metainfo=dict(classes=('cat', 'dog'))), "must start with 'background'"),
        (dict(metainfo=dict(classes=('background',))), 'at least one class'),
        (
            dict(metainfo=dict(classes=('background', 'cat', 'dog', 'dog'))),
            'holds dog twice',
        ),
        (dict(tag_source='csv'), "tag_source='csv'; choose one of file, xml, masks"),
        (dict(tags=None), 'give ann_file'),
        (dict(data_prefix=dict(img_path='nowhere')), 'no image folder .*nowhere'),
        (
            dict(data_prefix=dict(img_path='images', seg_map_path='pseudo')),
            r'no mask .*pseudo/sub/a\.b\.png .*gen_pseudo',
        ),
    ],
)
def test_wrong_settings_are_refused(folder, settings, match):
    with pytest.raises(ValueError, match=match):
        build(folder, **settings)


@pytest.fixture
def voc(tmp_path):
    """A VOC folder of two images."""
    root = tmp_path / 'VOC2012'
    for name in ('JPEGImages', 'Annotations', 'ImageSets'):
        (root / name).mkdir(parents=True)
    for name, found in (('2007_1', 'cat'), ('2007_2', 'person')):
        Image.new('RGB', (6, 5)).save(root / f'JPEGImages/{name}.jpg')
        save_mask(
            root / f'SegmentationClass/{name}.png',
            np.full((5, 6), 15, np.uint8),
            [[0, 0, 0]],
        )
        (root / f'Annotations/{name}.xml').write_text(
            f'<annotation><object><name>{found}</name></object></annotation>'
        )
    (root / 'ImageSets/psa.txt').write_text(
        '/JPEGImages/2007_2.jpg /SegmentationClassAug/2007_2.png\n'
        '/JPEGImages/2007_1.jpg /SegmentationClassAug/2007_1.png\n'
    )
    return root


def test_voc_takes_tags_from_the_xml_and_lists_of_psa(voc):
    dataset = VOCImageLabelDataset('ImageSets/psa.txt', data_root=str(voc))
    assert len(dataset.metainfo['classes']) == 21
    found = [dataset.get_data_info(i) for i in range(2)]
    assert [item['img_id'] for item in found] == ['2007_2', '2007_1']
    assert [int(item['image_labels'].argmax()) for item in found] == [14, 7]


def test_a_subset_of_voc_maps_masks_and_leaves_other_tags_out(voc):
    dataset = VOCImageLabelDataset(
        'ImageSets/psa.txt',
        data_root=str(voc),
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClass'),
        metainfo=dict(classes=('background', 'person')),
        pipeline=[
            dict(type='mmcv.LoadImageFromFile'),
            dict(type='mmseg.BGRToRGB'),
            dict(type='mmseg.LoadEvaluationMask'),
        ],
    )
    assert [dataset[i]['image_labels'].tolist() for i in range(2)] == [[1], [0]]
    assert (dataset[0]['gt_seg_map'] == 1).all()


def test_synth_voc(tmp_path):
    root = write_synth_voc(tmp_path / 'synth', train=3, val=1, size=64)
    dataset = SynthVOCDataset('ImageSets/Segmentation/train.txt', data_root=str(root))
    from_xml = ImageLabelDataset(
        'ImageSets/Segmentation/train.txt',
        data_root=str(root),
        tags='Annotations',
        tag_source='xml',
        data_prefix=dict(img_path='JPEGImages'),
        metainfo=dict(SynthVOCDataset.METAINFO),
    )
    assert len(dataset) == len(from_xml) == 3
    for i in range(3):
        one, other = dataset.get_data_info(i), from_xml.get_data_info(i)
        assert one['image_labels'].sum() >= 1
        np.testing.assert_array_equal(one['image_labels'], other['image_labels'])


def test_voc_mini(shared):
    dataset = VOCImageLabelDataset(
        'ImageSets/Segmentation/train.txt',
        data_root=str(shared / 'data/voc_mini'),
        tags='image_labels.csv',
        tag_source='file',
        data_prefix=dict(img_path='JPEGImages', seg_map_path='SegmentationClassAug'),
    )
    assert len(dataset) == 311
    assert dataset.get_data_info(0)['image_labels'].nonzero()[0].tolist() == [0, 14]


@pytest.mark.parametrize(
    'settings, match',
    [
        (dict(reduce_zero_label=True), 'reduce_zero_label=True: class 0 is the backg'),
        (dict(ignore_index=0), 'ignore_index=0: pixels to ignore are 255'),
        (dict(seg_map_suffix='_mask.png'), 'seg_map_suffix=.*leave it out'),
        (dict(img_suffix='.tif'), 'img_suffix=.*any extension'),
        (dict(filter_cfg=dict(a=1)), 'filter_cfg=.*no image is filtered'),
        (dict(indices=[0, 3]), r'indices: 3 is none of the 3 images of .*tags\.csv'),
        (dict(indices=[1.0]), r'indices: 1\.0 is none of'),
        (dict(indices=[2, -1]), r'indices: -1 chooses an image of .* twice'),
    ],
)
def test_what_would_have_no_effect_is_refused(folder, settings, match):
    with pytest.raises(ValueError, match=match):
        build(folder, **settings)


@pytest.mark.parametrize('count, fits', [(255, True), (256, False)])
def test_a_mask_holds_255_classes(folder, count, fits):
    names = ('background', 'cat', 'dog', *(f'c{i}' for i in range(3, count)))
    if fits:
        build(folder, metainfo=dict(classes=names))
        return
    with pytest.raises(ValueError, match='has 256 names; a mask holds 255 with the'):
        build(folder, metainfo=dict(classes=names))


@pytest.mark.parametrize('suffix', ['.PNG', '.Png'])
def test_masks_may_have_their_extension_in_capitals(folder, suffix):
    (folder / 'masks/e.png').rename(folder / f'masks/e{suffix}')
    prefix = dict(img_path='images', seg_map_path='masks')
    dataset = build(folder, data_prefix=prefix)
    assert dataset.get_data_info(2)['seg_map_path'].endswith(f'e{suffix}')


def test_annotations_of_coco_are_no_tags(folder):
    text = '{"images": [], "annotations": [], "categories": []}'
    (folder / 'tags.json').write_text(text)
    with pytest.raises(ValueError, match=r'tags\.json holds the annotations of COCO'):
        build(folder, tags='tags.json')
