"""Let a resumed training equal one that was never cut off."""

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from wsss_mm.engine.random_state import State, random_state, set_random_state
from wsss_mm.engine.resumable_loader import ResumableIterator, is_resumable
from wsss_mm.registry import HOOKS
from wsss_mm.utils.logging import LOGGER

KEY = 'random_states'


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Save and restore the random states of a training, of its workers too.

    Without it MMEngine goes on with a state of its own: other crops, other flips, other
    dropout than the same training without a break. Validation leaves the state of the
    training alone, since a training that is resumed does not repeat it.

    Note:
        Bit for bit holds on one machine, with the same number of processes, workers and
        threads, over MMEngine's InfiniteSampler. On a GPU it holds as far as cuDNN's
        kernels are deterministic (``randomness.deterministic=True``). Otherwise the
        training goes on with a new state, and says so.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.resumed: list[State] | None = None
        self.collected: list[State] = []
        self.iterator: ResumableIterator | None = None
        self.training: State | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the states that a checkpoint holds, for a training that is resumed."""
        self.resumed = checkpoint.get(KEY)

    def before_train_epoch(self, runner: Runner) -> None:
        """Take over the iteration over the data, before MMEngine skips what was seen."""
        loop, loader = runner.train_loop, runner.train_dataloader
        if not hasattr(loop, 'dataloader_iterator') or not is_resumable(loader):
            self.warn(
                runner, 'its data come in another order than from InfiniteSampler'
            )
            return
        if getattr(loop, 'fast_forward_on_resume', False):
            self.warn(runner, 'fast_forward_on_resume starts the data anew')
            return
        state = self.state_of(runner, loader.num_workers)
        afresh = [(number, None) for number in range(loader.num_workers)]
        # MMEngine 0.10.7 has started its workers by now, and drawn their seed.
        started = getattr(loop.dataloader_iterator, '_iterator', None) is not None
        self.iterator = ResumableIterator(
            loader,
            position=runner.iter,
            workers=afresh if state is None else list(state['workers']),
            fresh=runner.iter == 0 and not started,
            before_first=lambda: set_random_state(state) if state is not None else None,
        )
        loop.dataloader_iterator = self.iterator

    def state_of(self, runner: Runner, workers: int) -> State | None:
        """Find the state that this process goes on with; None for that it has."""
        if runner.iter == 0:
            return None
        if self.resumed is None:
            self.warn(runner, 'the checkpoint holds no random states')
            return None
        if len(self.resumed) != get_world_size():
            self.warn(runner, f'it was saved by {len(self.resumed)} processes')
            return None
        state = self.resumed[get_rank()]
        if len(state['workers']) != workers:
            self.warn(runner, f'it was saved with {len(state["workers"])} workers')
            return None
        return state

    def warn(self, runner: Runner, reason: str) -> None:
        """Say that a resumed training will differ from one without a break."""
        if runner.iter > 0:
            LOGGER.warning(
                'the resumed training will differ from one that was never cut off, as '
                f'with another seed: {reason}'
            )

    def before_checkpoint(self, runner: Runner) -> None:
        """Collect the states of all processes; each of them calls this."""
        workers = [] if self.iterator is None else self.iterator.workers
        self.collected = all_gather_object(dict(random_state(), workers=list(workers)))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states that were collected."""
        checkpoint[KEY] = self.collected

    def before_val(self, runner: Runner) -> None:
        """Note the state of the training."""
        self.training = random_state()

    def after_val(self, runner: Runner) -> None:
        """Go on with the state of the training."""
        if self.training is not None:
            set_random_state(self.training)
            self.training = None
