"""Training learns, stops and goes on with the same bits, and anneals."""

import numpy as np
import pytest
import torch

from zfrepro.core import nets
from zfrepro.core.architecture import Network
from zfrepro.core.training import Pictures, Recipe, Training, _ahead

CPU = torch.device("cpu")


def pictures(count=24, classes=3, size=72):
    """Each class a bright bar in another direction, on noise."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    images = random.integers(0, 120, (count, size, size, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        bar = slice(size // 3, size // 2)
        image[(bar, slice(None)) if label == 0 else (slice(None), bar) if label == 1 else (bar, bar)] = 255
    return Pictures(images, labels, images.mean(0, dtype=np.float64).astype(np.float32))


def training(dtype=torch.float32, **changes):
    recipe = Recipe(
        **{
            "input_size": 64,
            "epochs": 4,
            "batch": 8,
            "crops": "random",
            "schedule": "cosine",
            "input_scale": 1 / 32,
            **changes,
        }
    )
    net = nets.build(Network(base="improved"), 64, 3, 0.1)
    nets.initialise(net, "he", 5)
    return Training(net.to(memory_format=torch.channels_last), pictures(), recipe, CPU, dtype)


def run(work, steps):
    """Take steps, closing epochs on the way."""
    for _ in range(steps):
        work.step()
        if work.epoch_done:
            work.end_epoch(50.0)
    return work


def weights(work):
    return torch.cat([tensor.reshape(-1) for tensor in work.net.state_dict().values()])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("stop", [1, 3, 7])
def test_a_run_that_stops_and_goes_on_ends_with_the_same_bits(tmp_path, stop, dtype):
    whole = run(training(dtype), 8)
    first = run(training(dtype), stop)
    torch.save(first.state(), tmp_path / "state.pt")
    second = training(dtype)
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    run(second, 8 - stop)
    assert torch.equal(weights(second), weights(whole))
    assert (second.epoch, second.batch, second.learning_rate) == (whole.epoch, whole.batch, whole.learning_rate)
    assert torch.equal(second.loss_sum, whole.loss_sum)


def test_another_seed_gives_other_weights_and_the_same_seed_the_same():
    assert torch.equal(weights(run(training(seed=1), 2)), weights(run(training(seed=1), 2)))
    assert not torch.equal(weights(run(training(seed=1), 2)), weights(run(training(seed=2), 2)))


def test_it_learns():
    work = training(learning_rate=0.001, crops="centre", schedule="constant")
    seen = []
    for _ in range(40):
        while not work.epoch_done:
            work.step()
        seen.append(work.end_epoch(0.0))
    assert seen[0]["train_loss"] > 0.9  # about ln 3
    assert np.mean([epoch["train_loss"] for epoch in seen[-5:]]) < 0.3
    assert np.mean([epoch["train_top1_error"] for epoch in seen[-5:]]) < 15


def test_filters_stay_below_the_bound():
    work = run(training(filter_rms=0.05), 2)
    sizes = [
        layer.weight.square().mean((1, 2, 3)).sqrt().max() for layer in work.net if isinstance(layer, torch.nn.Conv2d)
    ]
    assert max(sizes) <= 0.05 * 1.0001
    free = run(training(filter_rms=None), 2)
    assert (
        max(
            layer.weight.square().mean((1, 2, 3)).sqrt().max()
            for layer in free.net
            if isinstance(layer, torch.nn.Conv2d)
        )
        > 0.06
    )


def test_weights_for_inputs_of_scale_one_say_the_same():
    work = run(training(), 2)
    inputs = torch.randn(2, 3, 64, 64) * 60
    scaled = work.net.eval()(inputs / 32)
    work.net.load_state_dict(work.weights())
    assert torch.allclose(work.net(inputs), scaled, rtol=1e-4, atol=1e-5)


def test_the_rate_falls_when_validation_stalls():
    work = training(schedule="stall", patience=2, factor=0.1)
    work.step()
    rates = [work.end_epoch(error)["learning_rate"] for error in (90, 80, 80, 80, 80, 80)]
    assert rates == pytest.approx([0.01] * 5 + [0.001])


def test_cosine_ends_low():
    work = training(schedule="cosine", epochs=4)
    work.step()
    rates = [work.end_epoch(0.0)["learning_rate"] for _ in range(4)]
    assert rates[0] == 0.01
    assert rates == sorted(rates, reverse=True)
    assert work.learning_rate == pytest.approx(1e-4)


def test_biases_do_not_decay():
    work = training()
    decayed, free = work.optimiser.param_groups
    assert {len(p.shape) for p in free["params"]} == {1}
    assert free["weight_decay"] == 0
    assert decayed["weight_decay"] == 5e-4
    assert len(decayed["params"]) + len(free["params"]) == len(list(work.net.parameters()))


def test_working_ahead_keeps_the_order_and_passes_errors_on():
    assert list(_ahead(iter(range(5)), 2)) == [0, 1, 2, 3, 4]

    def broken():
        yield 1
        raise OSError("disk gone")

    found = _ahead(broken(), 1)
    assert next(found) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(found)
