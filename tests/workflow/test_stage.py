import json
import sys

import pytest

from wsss_mm.utils.errors import InputError
from wsss_mm.workflow import stage as pipeline
from wsss_mm.workflow.stage import Stage, run_stage, run_stages, what_it_said

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
def trace(tmp_path, monkeypatch, caplog):
    """Where the fake tool records its calls."""
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/fake.py').write_text(TOOL)
    monkeypatch.setattr(pipeline, 'shipped', lambda name: tmp_path / name)
    caplog.set_level('INFO', logger='wsss_mm')
    path = tmp_path / 'trace.txt'
    path.touch()
    return path


def stage(trace, *arguments, name='one', resume=(), **fields):
    command = ('fake.py', str(trace), *arguments)
    fields.setdefault('settings', dict(words=list(arguments)))
    return Stage(name, command, resume=resume, **fields)


def calls(trace):
    return trace.read_text().splitlines()


def test_a_finished_stage_leaves_log_and_marker(trace, tmp_path, caplog):
    seconds = run_stage(stage(trace, 'a', 'b'), tmp_path / 'out')
    assert calls(trace) == ['a b']
    done = json.loads((tmp_path / 'out/one.done.json').read_text())
    settings = dict(settings=dict(words=['a', 'b']), inputs={})
    assert (done['made_with'], done['seconds']) == (settings, seconds)
    assert not (tmp_path / 'out/one.started.json').exists()
    assert 'a line of noise' in (tmp_path / 'out/one.log').read_text()
    assert caplog.messages == ['  one: Iter(train) [1/2] lr: 0.1  eta: 0:00:09']


def test_progress_can_be_silent(trace, tmp_path, caplog):
    run_stage(stage(trace), tmp_path / 'out', echo=False)
    assert not caplog.messages


def test_a_finished_stage_is_skipped(trace, tmp_path):
    first = run_stage(stage(trace, 'a'), tmp_path)
    assert run_stage(stage(trace, 'a'), tmp_path) == first
    assert calls(trace) == ['a']


def test_other_settings_under_its_name_are_refused_and_named(trace, tmp_path):
    run_stage(stage(trace, 'a', settings=dict(rate=1, size=3)), tmp_path)
    with pytest.raises(InputError, match=r'(?s)other settings:.*rate: 1, now 2'):
        run_stage(stage(trace, 'a', settings=dict(rate=2, size=3)), tmp_path)
    assert calls(trace) == ['a']


def test_the_words_of_a_command_play_no_part(trace, tmp_path):
    same = dict(rate=1)
    run_stage(stage(trace, '--workers', '1', settings=same), tmp_path)
    run_stage(stage(trace, '--workers', '2', settings=same), tmp_path)
    assert calls(trace) == ['--workers 1']


def test_a_moved_folder_is_done_too(trace, tmp_path):
    def in_folder(folder):
        settings = dict(masks=str(folder / 'masks'))
        return stage(trace, 'a', settings=settings, inputs=(folder / 'masks',))

    before, after = tmp_path / 'before', tmp_path / 'after'
    (before / 'masks').mkdir(parents=True)
    run_stage(in_folder(before), before)
    before.rename(after)
    run_stage(in_folder(after), after)
    assert calls(trace) == ['a']


def test_another_input_is_refused(trace, tmp_path):
    (tmp_path / 'tags.csv').write_text('a')
    one = stage(trace, 'a', inputs=(tmp_path / 'tags.csv',))
    run_stage(one, tmp_path)
    (tmp_path / 'tags.csv').write_text('b')
    with pytest.raises(InputError, match=r'inputs.*tags\.csv: \w{16}, now \w{16}'):
        run_stage(one, tmp_path)


def test_an_output_that_is_gone_is_made_again(trace, tmp_path):
    one = stage(trace, 'a', outputs=(tmp_path / 'cams',))
    (tmp_path / 'cams').mkdir()
    run_stage(one, tmp_path)
    (tmp_path / 'cams').rmdir()
    run_stage(one, tmp_path)
    assert calls(trace) == ['a', 'a']


def test_what_was_cut_off_goes_on_under_its_own_settings_alone(trace, tmp_path):
    def cut_off(rate):
        return stage(trace, 'fail', settings=dict(rate=rate), resume=('--resume',))

    with pytest.raises(InputError, match='stage one failed'):
        run_stage(cut_off(1), tmp_path)
    with pytest.raises(InputError, match=r'(?s)begun with other.*rate: 1, now 2'):
        run_stage(cut_off(2), tmp_path)
    assert calls(trace) == ['fail']


def test_a_marker_of_an_earlier_version_is_refused(trace, tmp_path):
    (tmp_path / 'one.done.json').write_text('{"command": ["x"], "seconds": 1}')
    with pytest.raises(InputError, match='an earlier version wrote it'):
        run_stage(stage(trace, 'a'), tmp_path)


def test_options_go_through_a_file_whatever_they_hold(trace, tmp_path):
    options = {'a.b': 'a folder, with a comma', 'c': None, 'd': [1, 'x']}
    run_stage(stage(trace, 'a', options=options), tmp_path)
    file = tmp_path / 'one.options.json'
    assert calls(trace) == [f'a --options-file {file}']
    assert json.loads(file.read_text()) == options


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


def test_stages_run_in_order(trace, tmp_path, caplog):
    stages = [stage(trace, name, name=name) for name in ('x', 'y', 'z')]
    seconds = run_stages(stages, tmp_path)
    assert calls(trace) == ['x', 'y', 'z']
    assert list(seconds) == ['x', 'y', 'z']
    assert '[2/3] y' in caplog.messages
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
    (tmp_path / 'train.log').write_text('of an earlier try\n')
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


KILLED = b"""E1126 torch/distributed/elastic/multiprocessing/api.py failed
Traceback (most recent call last):
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Failures:
  traceback : Signal 15 (SIGTERM) received by PID 28165
Root Cause (first observed failure):
  traceback : Signal 9 (SIGKILL) received by PID 28166
======"""


def test_of_a_killed_rank_a_line_is_said():
    line = 'Signal 9 (SIGKILL) received by PID 28166 (of several processes the first'
    assert what_it_said(KILLED) == [f'{line} that ended)']
    assert what_it_said(b'error: no image\n' + KILLED)[0] == 'error: no image'
