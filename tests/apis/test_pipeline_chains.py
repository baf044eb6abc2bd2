"""Chains of refiners are compared in one folder; the segmenter is trained once."""

import pytest

from wsss_mm.apis import pipeline
from wsss_mm.utils.errors import InputError


@pytest.fixture
def planned(monkeypatch, tmp_path):
    """Plan a run of SynthVOC's CAM; give its stages by name, in order."""

    def plan(*chains, segmenter=None, **more):
        kept = []

        def note(stages, folder, *, gpus):
            kept.extend(stages)
            return {}

        monkeypatch.setattr(pipeline, 'run_stages', note)
        monkeypatch.setattr(pipeline, 'write_results', lambda *args, **kwargs: {})
        pipeline.run_method(
            'cam_r18_synth',
            work_dir=tmp_path / 'work',
            chain=list(chains) or None,
            segmenter=segmenter,
            **more,
        )
        return {stage.name: stage for stage in kept}

    return plan


def test_more_chains_come_behind_the_segmenter(planned, tmp_path):
    first = planned('crf')
    assert list(first)[-2:] == ['train_segmenter', 'test_segmenter']
    more = planned('crf', 'pamr', 'rw+crf', 'none')
    assert list(more)[: len(first)] == list(first)
    assert list(more)[len(first) :] == [
        *('refine_pamr', 'eval_pamr'),
        *('seed_scores', 'train_affinity', 'refine_rw_crf', 'eval_rw_crf'),
    ]
    segmenter = first['train_segmenter']
    assert more['train_segmenter'].settings == segmenter.settings
    assert more['train_segmenter'].inputs == segmenter.inputs
    assert segmenter.inputs == (tmp_path / 'work/masks_crf',)


def test_without_a_segmenter(planned):
    names = list(planned('crf', 'pamr', segmenter='none'))
    assert names[-2:] == ['refine_pamr', 'eval_pamr']
    assert 'train_segmenter' not in names


def test_evaluations_know_the_names_of_the_classes(planned, tmp_path):
    command = planned('crf')['eval_crf'].command
    file = tmp_path / 'work/classes.txt'
    assert command[command.index('--names') + 1] == str(file)
    assert file.read_text().splitlines()[0] == 'background'
    # Settings have their number, so that earlier folders go on.
    assert planned('crf')['eval_crf'].settings['classes'] == 9


class TestMixedPrecision:
    def test_every_network_trains_and_predicts_so(self, planned, monkeypatch):
        monkeypatch.setattr('wsss_mm.utils.precision.get_device', lambda: 'cuda')
        plain, stages = planned('rw+crf'), planned('rw+crf', amp=True)
        assert list(plain) == list(stages)
        for name, stage in stages.items():
            network = name.split('_')[0] not in ('eval',)
            assert ('--amp' in stage.command) == network
            assert stage.settings.get('amp', False) == network
            assert '--amp' not in plain[name].command
            assert 'amp' not in plain[name].settings

    def test_without_a_gpu_it_is_refused_at_once(self, planned, monkeypatch):
        monkeypatch.setattr('wsss_mm.utils.precision.get_device', lambda: 'cpu')
        with pytest.raises(InputError, match='needs a GPU'):
            planned('crf', amp=True)
