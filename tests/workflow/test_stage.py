import json
import sys

import pytest

from wsss_mm.workflow import stage as pipeline
from wsss_mm.workflow.stage import Stage, run_stage, run_stages, segmenter_config

TOOL = """
import sys
from pathlib import Path
trace, *rest = sys.argv[1:]
with Path(trace).open('a') as file:
    file.write(' '.join(rest) + chr(10))
print('Iter(train) [1/2] lr: 0.1  eta: 0:00:09  time: 1')
print('a line of noise')
if 'fail' in rest:
    sys.exit('it broke: no such file x.csv')
"""


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """Where the fake tool records its calls."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/fake.py').write_text(TOOL)
    monkeypatch.setattr(pipeline, 'TOOLS', tmp_path / 'tools')
    path = tmp_path / 'trace.txt'
    path.touch()
    return path


def stage(trace, *arguments, name='one', resume=()):
    return Stage(name, ('fake.py', str(trace), *arguments), resume=resume)


def calls(trace):
    return trace.read_text().splitlines()


def test_the_tools_are_found_from_anywhere(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert (root / 'tools').samefile(pipeline.TOOLS)
    assert pipeline.TOOLS.is_absolute()


def test_a_finished_stage_leaves_log_and_marker(trace, tmp_path, capsys):
    seconds = run_stage(stage(trace, 'a', 'b'), tmp_path / 'out')
    assert calls(trace) == ['a b']
    done = json.loads((tmp_path / 'out/one.done.json').read_text())
    assert done == dict(command=['fake.py', str(trace), 'a', 'b'], seconds=seconds)
    assert 'a line of noise' in (tmp_path / 'out/one.log').read_text()
    printed = capsys.readouterr().out
    assert printed == '  one: Iter(train) [1/2] lr: 0.1  eta: 0:00:09\n'


def test_progress_can_be_silent(trace, tmp_path, capsys):
    run_stage(stage(trace), tmp_path / 'out', echo=False)
    assert capsys.readouterr().out == ''


def test_a_finished_stage_is_skipped(trace, tmp_path):
    first = run_stage(stage(trace, 'a'), tmp_path)
    assert run_stage(stage(trace, 'a'), tmp_path) == first
    assert calls(trace) == ['a']


def test_another_command_under_its_name_is_refused(trace, tmp_path):
    run_stage(stage(trace, 'a'), tmp_path)
    with pytest.raises(
        ValueError, match=r'one\.done\.json: was made by another command \(fake\.py'
    ):
        run_stage(stage(trace, 'b'), tmp_path)
    assert calls(trace) == ['a']


def test_a_failure_shows_the_end_of_the_log_and_is_tried_again(trace, tmp_path):
    broken = stage(trace, 'fail', resume=('--resume',))
    with pytest.raises(
        ValueError, match=r'(?s)stage one failed \(exit status 1\).*it broke: no such'
    ):
        run_stage(broken, tmp_path)
    assert not (tmp_path / 'one.done.json').exists()
    with pytest.raises(ValueError, match='stage one failed'):
        run_stage(broken, tmp_path)
    # The second try goes on where the first was cut off.
    assert calls(trace) == ['fail', 'fail --resume']


def test_a_failure_shows_the_message_and_not_what_a_launcher_adds(trace, tmp_path):
    page = '\n'.join(f'line {i} of the launcher' for i in range(40))
    (tmp_path / 'tools/launched.py').write_text(
        f'import sys\nprint("noise\\nerror: no such file x.csv\\n  mend it")\n'
        f'sys.exit({page!r})'
    )
    (tmp_path / 'one.log').write_text('error: of an earlier try\n')
    with pytest.raises(ValueError, match='stage one failed') as caught:
        run_stage(Stage('one', ('launched.py',)), tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[1:4] == [
        '  error: no such file x.csv',
        '    mend it',
        '  line 0 of the launcher',
    ]
    assert len(lines) == 13


def test_a_resumed_stage_counts_as_the_same_command(trace, tmp_path):
    (tmp_path / 'one.log').write_text('of an earlier try\n')
    resumed = stage(trace, 'a', resume=('--resume',))
    run_stage(resumed, tmp_path)
    run_stage(resumed, tmp_path)
    assert calls(trace) == ['a --resume']
    assert (tmp_path / 'one.log').read_text().startswith('of an earlier try\n')


def test_stages_run_in_order(trace, tmp_path, capsys):
    stages = [stage(trace, name, name=name) for name in ('x', 'y', 'z')]
    seconds = run_stages(stages, tmp_path)
    assert calls(trace) == ['x', 'y', 'z']
    assert list(seconds) == ['x', 'y', 'z']
    assert '[2/3] y' in capsys.readouterr().out
    run_stages(stages, tmp_path)
    assert calls(trace) == ['x', 'y', 'z']


def test_a_failure_stops_the_rest(trace, tmp_path):
    stages = [stage(trace, 'fail', name='x'), stage(trace, 'y', name='y')]
    with pytest.raises(ValueError, match='stage x failed'):
        run_stages(stages, tmp_path)
    assert calls(trace) == ['fail']


def test_results_of_another_run_are_not_kept(trace, tmp_path):
    """A stage that is done after one that is not would mix two runs."""
    stages = [stage(trace, name, name=name) for name in ('x', 'y', 'z')]
    run_stages(stages, tmp_path)
    (tmp_path / 'y.done.json').unlink()
    with pytest.raises(ValueError, match=r'stage z is done but y, which comes before'):
        run_stages(stages, tmp_path)
    assert calls(trace) == ['x', 'y', 'z']
    (tmp_path / 'z.done.json').unlink()
    run_stages(stages, tmp_path)
    assert calls(trace) == ['x', 'y', 'z', 'y', 'z']


def test_it_runs_this_python(trace, tmp_path):
    (tmp_path / 'tools/which.py').write_text('import sys; print(sys.executable)')
    run_stage(Stage('which', ('which.py',)), tmp_path)
    assert (tmp_path / 'which.log').read_text().strip() == sys.executable


def test_several_gpus_have_a_process_each(trace, tmp_path, monkeypatch):
    started = []

    def follow(command, log, *, prefix):
        started.append(command)
        return 0

    monkeypatch.setattr(pipeline, 'follow', follow)
    (tmp_path / 'train.log').touch()
    stages = [
        Stage('train', ('train.py', 'config.py'), resume=('--resume',)),
        Stage('eval', ('eval_masks.py', 'masks', 'truth')),
    ]
    run_stages(stages, tmp_path, gpus=3)
    train, evaluate = started
    assert train[:4] == [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    assert train[4] == '--nproc_per_node=3'
    tail = ['config.py', '--resume', '--launcher', 'pytorch']
    assert train[5:] == [str(tmp_path / 'tools/train.py'), *tail]
    path = str(tmp_path / 'tools/eval_masks.py')
    assert evaluate == [sys.executable, path, 'masks', 'truth']


class TestSegmenterConfig:
    @pytest.fixture
    def config(self, tmp_path):
        for name in ('m', 'm_deeplabv2', 'm_deeplabv1', 'm_unet', 'other_deeplabv1'):
            (tmp_path / f'{name}.py').touch()
        return tmp_path / 'm.py'

    def test_the_first_deeplab(self, config):
        assert segmenter_config(config).name == 'm_deeplabv1.py'

    def test_a_named_one(self, config):
        assert segmenter_config(str(config), 'unet').name == 'm_unet.py'

    def test_none(self, config):
        with pytest.raises(ValueError, match=r'no m_fcn\.py, the config of the second'):
            segmenter_config(config, 'fcn')
