import pytest
import torch
from mmengine.config import Config
from mmengine.optim import PolyLR
from torch import nn

from wsss_mm.engine.schedulers import ReferencePolyLR
from wsss_mm.registry import PARAM_SCHEDULERS


def make_optimizer(rates=(0.01, 0.2)):
    groups = [dict(params=[nn.Parameter(torch.ones(1))], lr=lr) for lr in rates]
    return torch.optim.SGD(groups, lr=1.0)


def run(scheduler, optimizer, steps):
    rates = []
    for _ in range(steps):
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return torch.tensor(rates, dtype=torch.float64)


def expected(step, end, power):
    step = min(step, end - 1)
    return [lr * (1 - step / end) ** power for lr in (0.01, 0.2)]


@pytest.mark.parametrize('power', [0.9, 1.0])
def test_it_follows_the_formula_and_then_stays(power):
    optimizer = make_optimizer()
    scheduler = PARAM_SCHEDULERS.build(
        dict(
            type='ReferencePolyLR',
            optimizer=optimizer,
            power=power,
            end=10,
            by_epoch=False,
        )
    )
    rates = run(scheduler, optimizer, 15)
    wanted = torch.tensor(
        [expected(step, 10, power) for step in range(15)], dtype=torch.float64
    )
    torch.testing.assert_close(rates, wanted, rtol=1e-12, atol=0)
    assert (rates > 0).all()


def test_within_training_it_is_polylr_with_one_more_step():
    ours, theirs = make_optimizer(), make_optimizer()
    schedulers = (
        ReferencePolyLR(ours, power=0.9, end=10, by_epoch=False),
        PolyLR(theirs, power=0.9, end=11, by_epoch=False),
    )
    mine, stock = run(schedulers[0], ours, 12), run(schedulers[1], theirs, 12)
    torch.testing.assert_close(mine[:10], stock[:10])
    assert stock[10, 0] == 0
    assert mine[10, 0] == mine[9, 0]


def test_it_can_begin_later_and_end_at_a_floor():
    optimizer = make_optimizer((1.0,))
    scheduler = ReferencePolyLR(
        optimizer, power=1.0, eta_min=0.5, begin=2, end=6, by_epoch=False
    )
    rates = run(scheduler, optimizer, 8)[:, 0]
    assert rates.tolist() == [1, 1, 1, 0.875, 0.75, 0.625, 0.625, 0.625]


def test_it_resumes():
    optimizer = make_optimizer()
    scheduler = ReferencePolyLR(optimizer, power=0.9, end=10, by_epoch=False)
    whole = run(scheduler, optimizer, 9)

    first = make_optimizer()
    started = ReferencePolyLR(first, power=0.9, end=10, by_epoch=False)
    run(started, first, 4)
    second = make_optimizer()
    resumed = ReferencePolyLR(second, power=0.9, end=10, by_epoch=False)
    second.load_state_dict(first.state_dict())
    resumed.load_state_dict(started.state_dict())
    torch.testing.assert_close(run(resumed, second, 5), whole[4:])


def test_epochs_convert_to_steps():
    optimizer = make_optimizer()
    scheduler = ReferencePolyLR.build_iter_from_epoch(
        optimizer, power=0.9, end=2, epoch_length=5
    )
    rates = run(scheduler, optimizer, 12)
    assert rates[9, 0].item() == pytest.approx(0.01 * 0.1**0.9)
    assert rates[10, 0] == rates[9, 0]


def test_an_empty_range_is_refused():
    with pytest.raises(ValueError, match='end should be larger than begin'):
        ReferencePolyLR(make_optimizer(), begin=3, end=3, by_epoch=False)


@pytest.mark.parametrize(
    ('name', 'end', 'steps'),
    [
        ('seam_poly', 10576, 10576),
        ('deeplabv1_20k', 20001, 20000),
        ('deeplabv2_20k', 20000, 20000),
        ('deeplabv3plus_30k', 30000, 30000),
    ],
)
def test_configured_schedules_span_their_training(root, name, end, steps):
    config = Config.fromfile(root / f'configs/_base_/schedules/{name}.py')
    (scheduler,) = config.param_scheduler
    assert scheduler == dict(
        type='ReferencePolyLR', power=0.9, begin=0, end=end, by_epoch=False
    )
    assert config.train_cfg.max_iters == steps
