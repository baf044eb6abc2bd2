import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner, find_latest_checkpoint

from wsss_mm.checkpoints.checkpoint_file import newest_whole, read_checkpoint
from wsss_mm.io.atomic import atomic_write
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.resume import start_from, start_from_nothing


def save(path, step, *, saved=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = dict(iter=step) if saved is None else dict(iter=step, saved_at=saved)
    torch.save(dict(state_dict=dict(a=torch.ones(9)), meta=meta), path)


def damage(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


class TestNewest:
    def test_the_latest_iteration(self, tmp_path):
        for step in (9, 10, 8):
            save(tmp_path / f'iter_{step}.pth', step, saved=1e9 + step)
        save(tmp_path / 'best_mIoU_iter_11.pth', 11, saved=2e9)
        save(tmp_path / 'iter_12-0123abcd.pth', 12, saved=2e9)
        assert newest_whole(tmp_path).name == 'iter_10.pth'

    @pytest.mark.parametrize('way', ['short', 'empty', 'flipped', 'text'])
    def test_damaged_ones_are_left_out(self, tmp_path, caplog, way):
        for step in (1, 2):
            save(tmp_path / f'iter_{step}.pth', step)
        path = tmp_path / 'iter_2.pth'
        data = bytearray(path.read_bytes())
        at = data.index(torch.ones(9).numpy().tobytes())
        data[at] ^= 1
        path.write_bytes(
            dict(short=data[:-9], empty=b'', flipped=data, text=b'no checkpoint')[way]
        )
        assert newest_whole(tmp_path).name == 'iter_1.pth'
        assert 'iter_2.pth: not a checkpoint' in caplog.text

    def test_a_later_training_of_fewer_iterations(self, tmp_path):
        save(tmp_path / 'iter_8.pth', 8, saved=1e9)
        save(tmp_path / 'iter_2.pth', 2, saved=1e9 + 60)
        assert newest_whole(tmp_path).name == 'iter_2.pth'

    def test_the_pointer_is_not_trusted(self, tmp_path):
        for folder, step in (('a', 8), ('b', 2)):
            save(tmp_path / folder / f'iter_{step}.pth', step)
        (tmp_path / 'b/last_checkpoint').write_text(str(tmp_path / 'a/iter_8.pth'))
        assert newest_whole(tmp_path / 'b') == tmp_path / 'b/iter_2.pth'
        assert newest_whole(tmp_path / 'c') is None

    def test_compressed_files_are_refused(self, tmp_path):
        save(tmp_path / 'iter_1.pth', 1)
        with (
            zipfile.ZipFile(tmp_path / 'iter_1.pth') as whole,
            zipfile.ZipFile(tmp_path / 'iter_2.pth', 'w', zipfile.ZIP_DEFLATED) as bomb,
        ):
            for name in whole.namelist():
                bomb.writestr(name, whole.read(name))
        with pytest.raises(InputError, match=r'iter_2\.pth: .*compressed'):
            read_checkpoint(tmp_path / 'iter_2.pth')


class TestStart:
    """A config that starts from other weights: ``load_from``."""

    @pytest.fixture
    def started(self, cam_config, tmp_path):
        cam_config.load_from = str(tmp_path / 'other.pth')
        cam_config.resume = False
        return cam_config

    def test_a_new_training_starts_from_them(self, started, tmp_path):
        (tmp_path / 'other.pth').touch()
        start_from(started, resume=False)
        assert started.load_from == str(tmp_path / 'other.pth')
        assert not started.resume

    def test_a_resumed_training_does_not(self, started, tmp_path):
        work = Path(started.work_dir)
        save(work / 'iter_1.pth', 1)
        start_from(started, resume=True)
        assert started.load_from is None
        assert started.resume is True
        assert find_latest_checkpoint(str(work)) == str(work / 'iter_1.pth')

    def test_in_a_fresh_folder_it_starts_anew(self, started, tmp_path):
        (tmp_path / 'other.pth').touch()
        start_from(started, resume=True)
        assert started.load_from == str(tmp_path / 'other.pth')
        assert started.resume is False

    @pytest.mark.parametrize('trace', ['last_checkpoint', 'a.log', '20260101/b.log'])
    def test_what_cannot_be_resumed_is_not_started_anew(
        self, started, tmp_path, caplog, trace
    ):
        (tmp_path / 'other.pth').touch()
        path = Path(started.work_dir) / trace
        path.parent.mkdir(parents=True)
        path.write_text('gone.pth')
        with pytest.raises(InputError, match=r'work: nothing to resume from.*no check'):
            start_from(started, resume=True)
        start_from(started, resume=True, or_start=True)
        assert 'cut off before its first checkpoint' in caplog.text
        assert started.resume is False
        assert started.load_from == str(tmp_path / 'other.pth')

    def test_damaged_checkpoints_are_never_started_over(self, started, tmp_path):
        (tmp_path / 'other.pth').touch()
        work = Path(started.work_dir)
        save(work / 'iter_1.pth', 1)
        damage(work / 'iter_1.pth')
        for or_start in (False, True):
            with pytest.raises(InputError, match=r'no checkpoint is whole \(iter'):
                start_from(started, resume=True, or_start=or_start)

    def test_what_an_earlier_try_had_not_written_is_removed(self, started, tmp_path):
        (tmp_path / 'other.pth').touch()
        work = Path(started.work_dir)
        work.mkdir()
        for name in ('iter_2.pth', 'last_checkpoint'):
            with atomic_write(work / name) as part:
                shutil.copy(part, work / part.name.replace('.', '.a', 1))
            (work / name).unlink()
        (work / '.mine').touch()
        start_from(started, resume=False)
        assert [path.name for path in work.iterdir()] == ['.mine']

    @pytest.mark.parametrize('kind', ['CheckpointHook', 'mmengine.CheckpointHook'])
    def test_the_stock_hook_gives_way(self, started, tmp_path, kind):
        (tmp_path / 'other.pth').touch()
        started.default_hooks.checkpoint.type = kind
        start_from(started, resume=False)
        assert started.default_hooks.checkpoint.type == 'mmseg.AtomicCheckpointHook'
        assert started.default_hooks.checkpoint.interval == 2000

    def test_missing_weights_are_named(self, started):
        with pytest.raises(ValueError, match=r'other\.pth: no such .*\(load_from\)'):
            start_from(started, resume=False)
        started.load_from = None
        started.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='w.pth')
        with pytest.raises(ValueError, match=r'w\.pth: no such .*init_cfg\.checkpoint'):
            start_from(started, resume=False)
        started.model.backbone.init_cfg.checkpoint = 'torchvision://resnet50'
        start_from(started, resume=False)

    def test_a_test_never_loads_them(self, started):
        """MMEngine loads load_from right before testing, over the weights tested."""
        torch.save(MODELS.build(started.model).state_dict(), started.load_from)
        start_from_nothing(started)
        runner = Runner.from_cfg(started)
        before = {k: v.clone() for k, v in runner.model.state_dict().items()}
        runner.test()
        after = runner.model.state_dict()
        assert all(torch.equal(after[k], v) for k, v in before.items())
