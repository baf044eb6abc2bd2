import pytest

from wsss_mm.workflow import processes
from wsss_mm.workflow.processes import share, share_of_remaining, workers_here

NAMES = ('a', 'b', 'c', 'd', 'e')


@pytest.fixture
def process(monkeypatch):
    """Pretend to be one of several processes; give what a barrier waits for."""
    waits = []

    def pretend(rank, world, *events):
        monkeypatch.setattr(processes, 'get_rank', lambda: rank)
        monkeypatch.setattr(processes, 'get_world_size', lambda: world)
        waits[:] = events
        return waits

    monkeypatch.setattr(processes, 'barrier', lambda: waits.pop(0)() if waits else None)
    return pretend


@pytest.mark.parametrize('world', [1, 2, 3, 7])
def test_every_image_is_somebodys(process, world):
    shares = []
    for rank in range(world):
        process(rank, world)
        shares.append(share([3, 1, 4, 5, 9]))
    assert sorted(one for part in shares for one in part) == [1, 3, 4, 5, 9]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_nobody_writes_while_another_looks(process, tmp_path):
    """A list read while others write would leave images that nobody makes."""
    folder = tmp_path / 'masks'
    folder.mkdir()

    def earlier_stage():
        (folder / 'b.png').touch()

    def begin_writing():
        for name in ('a', 'c', 'd'):
            (folder / f'{name}.png').touch()

    waits = process(1, 2, earlier_stage, begin_writing)
    # Of a, c, d and e the second process takes the second and the fourth.
    assert share_of_remaining(NAMES, (folder, '.png'), overwrite=False) == [2, 4]
    assert waits == []


@pytest.mark.parametrize(
    'workers, count, expected',
    [(8, None, 8), (8, '1', 8), (8, '4', 2), (7, '4', 1), (2, '4', 1), (0, '4', 0)],
)
@pytest.mark.parametrize(
    'launcher, variable',
    [('pytorch', 'LOCAL_WORLD_SIZE'), ('slurm', 'SLURM_NTASKS_PER_NODE')],
)
def test_workers_are_those_of_the_machine(
    monkeypatch, launcher, variable, workers, count, expected
):
    monkeypatch.delenv(variable, raising=False)
    if count is not None:
        monkeypatch.setenv(variable, count)
    assert workers_here(workers, launcher) == expected


def test_a_single_process_has_all_workers(monkeypatch):
    # Slurm says so inside of a job, too, in which one process was started by hand.
    monkeypatch.setenv('SLURM_NTASKS_PER_NODE', '4')
    assert workers_here(8, 'none') == 8


def test_negative_workers_are_left_for_the_pool_to_refuse(monkeypatch):
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '2')
    assert workers_here(-1, 'pytorch') == -1
