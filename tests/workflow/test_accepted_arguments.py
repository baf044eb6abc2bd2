import functools

import torch
from torch import nn

import wsss_mm.engine
import wsss_mm.models  # noqa: F401
from wsss_mm.registry import MODELS
from wsss_mm.workflow.accepted_arguments import (
    accepted_arguments,
    arguments_of,
    names_read,
)


class Parent:
    def __init__(self, depth, *, width=1):
        self.depth, self.width = depth, width


class Forwards(Parent):
    def __init__(self, *, height=2, **kwargs):
        self.colour = kwargs.pop('colour', None)
        if 'shade' in kwargs:
            self.shade = kwargs['shade']
        super().__init__(3, **kwargs)


class ForwardsByName(Forwards):
    def __init__(self, *args, **options):
        Forwards.__init__(self, *args, **options)


class SilentBetween(Forwards):
    """Has no constructor of its own."""


class GoesOn(SilentBetween):
    def __init__(self, length, **kwargs):
        super(GoesOn, self).__init__(**kwargs)  # noqa: UP008


class Keeps(Parent):
    def __init__(self, **kwargs):
        super().__init__(1, **kwargs)
        self.rest = kwargs


class Elsewhere(Parent):
    def __init__(self, **kwargs):
        super().__init__(1)
        nn.Linear(**kwargs)


OF_FORWARDS = {'colour', 'depth', 'height', 'shade', 'width'}


def test_what_classes_take():
    assert arguments_of(Parent) == {'depth', 'width'}
    assert arguments_of(Forwards) == OF_FORWARDS
    assert arguments_of(ForwardsByName) == OF_FORWARDS
    assert arguments_of(SilentBetween) == OF_FORWARDS
    assert arguments_of(GoesOn) == OF_FORWARDS | {'length'}


def test_a_bag_that_goes_elsewhere_takes_anything():
    assert arguments_of(Keeps) is None
    assert arguments_of(Elsewhere) is None


def test_functions():
    assert arguments_of(lambda a, b=1: a) == {'a', 'b'}
    assert arguments_of(functools.partial(lambda a, b: a, 1)) == {'b'}
    assert arguments_of(lambda a, **rest: a) is None


def test_what_has_no_signature_takes_anything():
    assert arguments_of(type) is None


def test_names_are_looked_up_in_all_registries():
    assert {'decode_head', 'neck', 'init_cfg'} <= accepted_arguments(
        'CAMEncoderDecoder', 'mmseg'
    )
    assert {'lr', 'momentum'} <= accepted_arguments('SGD', 'mmseg')
    # MMEngine's schedulers hand their arguments on through three constructors.
    poly = accepted_arguments('PolyLR', 'mmseg')
    assert {'power', 'eta_min', 'begin', 'convert_to_iter_based'} <= poly
    assert 'powr' not in poly
    assert 'priority' in accepted_arguments('PseudoLabelHook', 'mmseg')
    assert accepted_arguments('EMAHook', 'mmseg') is None  # for the averaged model
    assert accepted_arguments('IterTimerHook', 'mmseg') == {'priority'}
    assert 'paramwise_cfg' in accepted_arguments('AmpOptimWrapper', 'mmseg')
    assert 'depth' in accepted_arguments('mmpretrain.ResNet', 'mmseg')
    assert accepted_arguments('default_collate', 'mmseg') == {'data_batch'}
    assert accepted_arguments('NobodyRegisteredThis', 'mmseg') is None
    assert accepted_arguments(torch.optim.SGD, 'mmseg') >= {'lr'}


def test_keys_that_a_class_reads_of_a_dict():
    read = names_read('test_cfg', [MODELS.get('CAMEncoderDecoder')])
    assert {'normalization', 'background_threshold', 'mode', 'stride'} <= read
    assert 'get' not in read
    assert names_read('nothing_of_this_name', [MODELS.get('CAMHead')]) is None
