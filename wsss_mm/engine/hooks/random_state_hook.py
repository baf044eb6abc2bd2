"""Let a resumed training equal one that was never cut off."""

from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from wsss_mm.checkpoints.random_state import State, random_state, set_random_state
from wsss_mm.checkpoints.resumable_loader import (
    STATE,
    ResumedIterator,
    has_position,
    note_states,
    use_own_generator,
)
from wsss_mm.registry import HOOKS
from wsss_mm.utils.logging import LOGGER

KEY = 'random_states'


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Save and restore the random states of a training, of its workers too.

    Without it MMEngine goes on with a state of its own: other crops, other flips, other
    dropout than the same training without a break. A training that is not cut off draws
    the same numbers as without the hook, up to its first validation: from there on
    validation leaves the state of the training alone, since a training that is resumed
    does not repeat it.

    Note:
        Bit for bit holds on one machine, with the same versions and number of
        processes, workers and threads, for ``IterBasedTrainLoop`` over
        ``InfiniteSampler`` (any iteration) and for ``EpochBasedTrainLoop`` (saved at
        the end of an epoch). Not for: kernels of a GPU that are not deterministic
        (``cudnn_benchmark=False`` and ``randomness.deterministic=True`` choose those
        that are); gradients that were accumulated before the save; generators that a
        dataset or transform keeps for itself; ``fast_forward_on_resume``; training
        without a seed. What can be noticed is warned of; such a training goes on with a
        new state.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.resumed: list[State] | None = None
        self.collected: list[State] = []
        self.workers: dict[int, State] = {}
        self.pending: State | None = None
        self.training: State | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the states that a checkpoint holds, for a training that is resumed."""
        self.resumed = checkpoint.get(KEY) or None

    def before_train(self, runner: Runner) -> None:
        """Let the data go on where they were, before MMEngine skips what was seen."""
        loop, loader = runner.train_loop, runner.train_dataloader
        reason = misplaced(loop, loader)
        if runner.iter > 0:
            reason = reason or unsaved(self.resumed, loader.num_workers)
            if reason is not None:
                LOGGER.warning(
                    'the resumed training will differ from one that was never cut off, '
                    f'as with another seed: {reason}'
                )
            elif self.resumed is not None:
                self.pending = self.resumed[get_rank()]
                self.workers = dict(self.pending['workers'])
        if is_by_epoch(loop):
            self.prepare_epochs(loader)
        elif not misplaced(loop, loader):
            self.prepare_iterations(runner)

    def prepare_epochs(self, loader: DataLoader) -> None:
        """Note the states of workers; those that last have one at an epoch's start."""
        lasting = loader.persistent_workers
        note_states(loader, states=self.workers if lasting else None)
        if lasting and self.pending is not None:
            use_own_generator(loader)

    def prepare_iterations(self, runner: Runner) -> None:
        """Take over the iteration over the data."""
        loop, loader = runner.train_loop, runner.train_dataloader
        first = runner.iter % loader.num_workers if loader.num_workers else 0
        note_states(loader, first=first, states=self.workers)
        # MMEngine 0.10.7 has started its workers by now, and drawn their seed.
        started = getattr(loop.dataloader_iterator, '_iterator', None) is not None
        loop.dataloader_iterator = ResumedIterator(
            loader,
            position=runner.iter,
            draws=runner.iter == 0 and not started,
            before_first=self.restore,
        )

    def before_train_epoch(self, runner: Runner) -> None:
        """Go on with the state of the process; iterations do it at their first."""
        if is_by_epoch(runner.train_loop):
            self.restore()

    def restore(self) -> None:
        """Put this process into the state that it goes on with, if there is one."""
        if self.pending is not None:
            set_random_state(self.pending)
            self.pending = None

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Take the state of its worker out of a batch."""
        if isinstance(data_batch, dict) and STATE in data_batch:
            number, state = data_batch.pop(STATE)
            self.workers[number] = state

    def before_checkpoint(self, runner: Runner) -> None:
        """Collect the states of all processes; each of them calls this."""
        count = runner.train_dataloader.num_workers
        own = dict(random_state(), workers=dict(self.workers), num_workers=count)
        self.collected = all_gather_object(own)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states that were collected for this checkpoint."""
        checkpoint[KEY], self.collected = self.collected, []

    def before_val(self, runner: Runner) -> None:
        """Note the state of the training."""
        self.training = random_state()

    def after_val(self, runner: Runner) -> None:
        """Go on with the state of the training."""
        if self.training is not None:
            set_random_state(self.training)
            self.training = None


def is_by_epoch(loop: Any) -> bool:
    """Say whether a training counts epochs."""
    return isinstance(loop, EpochBasedTrainLoop)


def misplaced(loop: Any, loader: DataLoader) -> str | None:
    """Say why the data cannot go on where they were, if they cannot."""
    if is_by_epoch(loop):
        inside = loop.iter != loop.epoch * len(loader)
        return 'it was saved inside an epoch, which begins anew' if inside else None
    if not hasattr(loop, 'dataloader_iterator'):
        return f'its loop is a {type(loop).__name__}'
    if not has_position(loader):
        return 'its data come in another order than from InfiniteSampler'
    if getattr(loop, 'fast_forward_on_resume', False):
        return 'fast_forward_on_resume starts the data anew'
    return None


def unsaved(states: list[State] | None, workers: int) -> str | None:
    """Say why the states of a checkpoint are not those to go on with, if so."""
    if states is None:
        return 'the checkpoint holds no random states'
    if len(states) != get_world_size():
        return f'it was saved by {len(states)} processes'
    saved = states[get_rank()]['num_workers']
    if saved != workers:
        return f'it was saved with {saved} workers'
    return None
