import pytest
import torch
from mmseg.structures import SegDataSample

from wsss_mm.models.structures import Context, PresentMaps, View, identity


@pytest.fixture
def context():
    image = torch.zeros(2, 3, 24, 32)
    features = (torch.zeros(2, 4, 6, 8),)
    attention = (torch.zeros(2, 1, 4, 4),)
    return Context(
        features={'full': features, 'tiles': features},
        views={'full': View(image, identity), 'tiles': View(image[..., :16], identity)},
        image_labels=torch.ones(2, 3),
        class_names=('background', 'a', 'b', 'c'),
        attention={'full': attention, 'tiles': attention},
        image_sizes=((20, 30), (24, 32)),
        cams={'tiles': torch.zeros(2, 3, 6, 8)},
    )


def test_a_view_is_left_out_everywhere(context):
    rest = context.without('tiles')
    for mapping in (rest.features, rest.views, rest.attention):
        assert set(mapping) == {'full'}
    assert not rest.cams
    assert set(context.features) == set(context.views) == {'full', 'tiles'}
    for name in ('image_labels', 'class_names', 'image_sizes'):
        assert getattr(rest, name) is getattr(context, name)


def test_cams_are_added_to_those_that_are_there(context):
    cam = torch.ones(2, 3, 6, 8)
    more = context.with_cams({'full': cam})
    assert set(more.cams) == {'full', 'tiles'}
    assert more.cams['full'] is cam
    assert set(context.cams) == {'tiles'}


def test_sizes_of_inputs(context):
    assert context.input_size() == (24, 32)
    assert context.input_size('tiles') == (24, 16)


def test_it_is_frozen(context):
    with pytest.raises(AttributeError):
        context.class_names = ()


class TestPresentMaps:
    @pytest.fixture
    def maps(self):
        return torch.rand(2, 3, 4)

    def test_the_others_are_zero(self, maps):
        found = PresentMaps.of(maps, torch.tensor([1, 3]), 5)
        assert found.classes == (1, 3)
        assert found.data.shape == (5, 3, 4)
        assert torch.equal(found.data[[1, 3]], maps)
        assert not found.data[[0, 2, 4]].any()

    def test_only_the_present_ones_are_stored(self, maps):
        found = PresentMaps.of(maps, torch.tensor([1, 3]), 500)
        stored = found.to_dict()
        assert set(stored) == {'classes', 'num_classes', 'maps'}
        assert stored['maps'] is maps

    def test_it_travels_with_its_sample(self, maps):
        sample = SegDataSample(cam=PresentMaps.of(maps, torch.tensor([0, 2]), 3))
        for copy in (sample.clone(), sample.to('cpu'), sample.detach()):
            assert torch.equal(copy.cam.data, sample.cam.data)
            assert copy.cam.classes == (0, 2)

    def test_no_class(self):
        found = PresentMaps.of(torch.zeros(0, 3, 4), torch.zeros(0, dtype=int), 2)
        assert found.data.shape == (2, 3, 4)
        assert not found.data.any()
