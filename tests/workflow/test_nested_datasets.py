import pytest
from mmengine.config import ConfigDict

from wsss_mm.apis.dataset import for_pseudo_labels, names_of
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.nested_datasets import (
    only_dataset,
    plain_datasets,
    rows_in_list,
)

A, B = ConfigDict(type='A', ann_file='a'), ConfigDict(type='B', ann_file='b')


def test_plain_datasets_inside():
    repeat = ConfigDict(type='RepeatDataset', dataset=A, times=3)
    both = ConfigDict(type='ConcatDataset', datasets=[repeat, B])
    assert plain_datasets(A) == [A]
    assert plain_datasets(repeat) == [A]
    assert plain_datasets(both) == [A, B]
    assert only_dataset(repeat, where='x', remedy='y') == A
    with pytest.raises(InputError, match=r'x joins 2 datasets \(a, b\); take one'):
        only_dataset(both, where='x', remedy='take one')


def built(cfg):
    return DATASETS.build(dict(cfg.test_dataloader.dataset, pipeline=[]))


@pytest.fixture
def images(cam_config):
    return names_of(built(for_pseudo_labels(cam_config, single_scale=True)))


@pytest.mark.parametrize('chosen', [[2, 0], [1], [-1], 2, -2, -9, 9, None])
@pytest.mark.parametrize('loader', ['train', 'test'])
def test_indices_are_the_images(cam_config, images, chosen, loader):
    """The images of either dataset, and rows that find each of them in the list."""
    cam_config[f'{loader}_dataloader'].dataset.indices = chosen
    cfg = for_pseudo_labels(cam_config, single_scale=True)
    found = names_of(built(cfg))
    if isinstance(chosen, list):
        assert found == [images[i] for i in chosen]
    elif chosen is not None:
        assert found == (images[:chosen] if chosen >= 0 else images[chosen:])
    positions = range(len(found))
    rows = rows_in_list(cfg.test_dataloader.dataset, positions)
    assert [images[row] for row in rows] == found
    cfg.test_dataloader.dataset.indices = rows
    assert names_of(built(cfg)) == found


def test_a_repeated_list_is_kept(cam_config, images):
    for split in ('train', 'test'):
        loader = cam_config[f'{split}_dataloader']
        inner = loader.dataset
        loader.dataset = dict(type='RepeatDataset', dataset=inner, times=2)
    cfg = for_pseudo_labels(cam_config, single_scale=True)
    assert names_of(built(cfg)) == images


def test_joined_lists_are_refused_unless_one_is_named(cam_config, images, synth):
    inner = cam_config.train_dataloader.dataset
    joined = dict(type='ConcatDataset', datasets=[inner, inner])
    cam_config.train_dataloader.dataset = joined
    with pytest.raises(InputError, match=r'joins 2 datasets .* --split LIST'):
        for_pseudo_labels(cam_config, single_scale=True)
    cfg = for_pseudo_labels(cam_config, split=inner.ann_file, single_scale=True)
    assert names_of(built(cfg)) == images
    cam_config.test_dataloader.dataset = joined
    with pytest.raises(InputError, match=r'test_dataloader\.dataset joins 2 datasets'):
        for_pseudo_labels(cam_config, split=inner.ann_file, single_scale=True)
