"""Save checkpoints so that neither a kill nor a full disk loses a training."""

import time
from collections import deque
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner, save_checkpoint

from wsss_mm.checkpoints.checkpoint_file import (
    SAVED_AT,
    point_to,
    read_checkpoint,
    whole_checkpoint,
)
from wsss_mm.checkpoints.finite import first_non_finite
from wsss_mm.checkpoints.plain_values import log_histories, plain
from wsss_mm.checkpoints.weights import digest_of
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError

DIGITS = 8  # of the digest in a published name, as MMEngine has


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """Save as MMEngine's hook does, but write, check, then remove the older.

    A checkpoint takes its name once it is on the disk and was read back; only then are
    older ones removed. It holds tensors and Python's own types alone, so that any torch
    resumes from it with ``weights_only``. A folder that was moved or copied never
    touches the files of the other.

    Note:
        Twice the disk space of MMEngine's with ``max_keep_ckpts=1``, while saving.
        Folders that are not local ones are written as MMEngine does. Arguments are
        MMEngine's.
    """

    keep_ckpt_ids: deque

    def before_train(self, runner: Runner) -> None:
        """Take the checkpoints that an earlier part of the training left for its own.

        Their paths are those of the folder they were saved into, which may have moved.
        """
        super().before_train(runner)
        if not self.is_local:
            return
        saved = runner.message_hub.runtime_info.get('last_ckpt')
        if runner.iter > 0 and saved is not None:
            own = Path(self.out_dir, Path(saved).name)
            self.last_ckpt = str(own) if own.is_file() else None
        self.best = {
            key: self.own_path(path) for key, path in self.best.items() if path
        }

    @property
    def is_local(self) -> bool:
        """Whether checkpoints are written into a folder of this machine."""
        return isinstance(self.file_backend, LocalBackend)

    @property
    def best(self) -> dict[str, str | None]:
        """Paths of the best checkpoints by their metric."""
        if not self.save_best:
            return {}
        if len(self.key_indicators) == 1:
            return {'': self.best_ckpt_path}  # its metric may still be 'auto'
        return dict(self.best_ckpt_path_dict)

    @best.setter
    def best(self, paths: dict[str, str | None]) -> None:
        if not self.save_best:
            return
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = paths.get('')
        else:
            self.best_ckpt_path_dict = {
                key: paths.get(key) for key in self.key_indicators
            }

    def own_path(self, path: str) -> str:
        """Place a file in this training's folder."""
        return str(Path(self.out_dir, Path(path).name))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leave only what loads without unpickling; this hook comes last."""
        kept = plain(checkpoint)
        checkpoint.clear()
        checkpoint.update(kept)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make the log of what it was saved as."""
        log = checkpoint.get('message_hub')
        if isinstance(log, dict) and 'log_scalars' in log:
            scalars = log_histories(log['log_scalars'])
            checkpoint['message_hub'] = dict(log, log_scalars=scalars)

    def _save_checkpoint_with_step(
        self, runner: Runner, step: int, meta: dict[str, Any]
    ) -> None:
        if not self.is_local:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        self.refuse_non_finite(runner)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = str(Path(self.out_dir, name))
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        outdated = self.note_step(runner, step)
        # Every process takes part; MMEngine's own events reach the first alone.
        runner.call_hook('before_checkpoint')
        if not is_main_process():
            return
        with whole_checkpoint(self.last_ckpt) as part:
            runner.save_checkpoint(
                str(part.parent),
                part.name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=dict(meta, **{SAVED_AT: time.time()}),
                by_epoch=self.by_epoch,
                **self.args,
            )
        point_to(Path(runner.work_dir), Path(self.last_ckpt))
        for step in outdated:
            Path(self.out_dir, self.filename_tmpl.format(step)).unlink(missing_ok=True)

    def note_step(self, runner: Runner, step: int) -> list[int]:
        """Note that a step is saved; return the steps that are then to be removed."""
        if self.max_keep_ckpts <= 0:
            return []
        steps = [*(kept for kept in self.keep_ckpt_ids if kept != step), step]
        # With those to be removed: a training that is cut off before does it later.
        runner.message_hub.update_info('keep_ckpt_ids', steps)
        self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
        return steps[: -self.max_keep_ckpts]

    def refuse_non_finite(self, runner: Runner) -> None:
        """Keep the last checkpoint rather than save weights that are not finite."""
        name = first_non_finite(runner.model)
        if name is not None:
            kept = self.last_ckpt or 'none was saved'
            raise InputError(
                f'the weights are not finite after iteration {runner.iter + 1} '
                f'({name}); they are not saved. The last checkpoint is kept: {kept}. '
                'Lower the learning rate, or look at the data and the start weights'
            )

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not (self.save_best and self.is_local):
            super()._save_best_checkpoint(runner, metrics)
            return
        before = self.best
        # MMEngine removes the best that it knows of before it writes the next.
        self.best = dict.fromkeys(before)
        inner = runner.save_checkpoint

        def save(out_dir: str, filename: str, *rest: Any, **options: Any) -> None:
            if not filename.startswith('best_'):
                inner(out_dir, filename, *rest, **options)
                return
            with whole_checkpoint(Path(out_dir, filename)) as part:
                inner(str(part.parent), part.name, *rest, **options)

        runner.save_checkpoint = save if is_main_process() else inner
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            del runner.save_checkpoint
        self.best = {key: path or before.get(key) for key, path in self.best.items()}
        if is_main_process():
            for path in set(filter(None, before.values())) - set(self.best.values()):
                Path(path).unlink(missing_ok=True)

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        """Write the published parts of a checkpoint beside it, named by the weights."""
        if not self.is_local:
            super()._publish_model(runner, ckpt_path)
            return
        content = read_checkpoint(ckpt_path)
        published = {key: content[key] for key in self.published_keys if key in content}
        digest = digest_of(content['state_dict'])[:DIGITS]
        path = Path(ckpt_path)
        target = path.with_name(f'{path.stem}-{digest}.pth')
        with whole_checkpoint(target) as part:
            save_checkpoint(published, str(part))
        runner.logger.info(f'The checkpoint ({ckpt_path}) is published to {target}.')
