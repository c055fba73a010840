"""Training learns, stops and resumes with the same bits, anneals at every step, and ends at a loss that is not finite."""

import copy
import math

import numpy as np
import pytest
import torch
from helpers import pretend_cuda
from helpers.pretend_cuda import CudaTensor
from torch.utils._python_dispatch import TorchDispatchMode

from zfrepro.core import nets
from zfrepro.core import training as training_module
from zfrepro.core.architecture import Network
from zfrepro.core.recipe import Recipe
from zfrepro.core.training import Diverged, Training, TrainingImages, _Group, _step_seed

CPU = torch.device("cpu")


def pictures(count=24, classes=3, size=72):
    """Each class a bright bar in another direction, on noise."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % classes
    images = random.integers(0, 120, (count, size, size, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        bar = slice(size // 3, size // 2)
        image[(bar, slice(None)) if label == 0 else (slice(None), bar) if label == 1 else (bar, bar)] = 255
    return TrainingImages(images, labels, images.mean(0, dtype=np.float64).astype(np.float32))


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
def test_a_resumed_run_ends_with_the_same_bits(tmp_path, stop, dtype):
    uninterrupted = run(training(dtype), 8)
    first = run(training(dtype), stop)
    torch.save(first.state(), tmp_path / "state.pt")
    second = training(dtype)
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    run(second, 8 - stop)
    assert torch.equal(weights(second), weights(uninterrupted))
    assert (second.epoch, second.batch, second.learning_rate) == (
        uninterrupted.epoch,
        uninterrupted.batch,
        uninterrupted.learning_rate,
    )
    assert torch.equal(second.loss_sum, uninterrupted.loss_sum)


@pytest.mark.parametrize("steps", [1, 4])
def test_steps_taken_later_do_not_change_a_state(steps):
    """A checkpoint is written while training goes on; a state that shared memory with the network would hold a mixture."""
    work = run(training(), steps)
    state = work.state()
    before = copy.deepcopy(state)
    run(work, 3)
    tensors = [*state["net"].values(), *(v for velocities in state["velocities"] for v in velocities)]
    kept = [*before["net"].values(), *(v for velocities in before["velocities"] for v in velocities)]
    assert len(tensors) == 2 * len(work.net.state_dict())
    assert all(torch.equal(tensor, other) for tensor, other in zip(tensors, kept, strict=True))
    for key in ("loss_sum", "wrong", "epoch", "batch", "rates", "stall"):
        assert state[key] == before[key]
    now = [*work.net.state_dict().values(), *(v for group in work.groups for v in group.velocities)]
    assert not any(torch.equal(tensor, other) for tensor, other in zip(tensors, now, strict=True))


def test_another_seed_gives_other_weights_and_the_same_seed_the_same():
    assert torch.equal(weights(run(training(seed=1), 2)), weights(run(training(seed=1), 2)))
    assert not torch.equal(weights(run(training(seed=1), 2)), weights(run(training(seed=2), 2)))


def test_it_learns():
    work = training(learning_rate=0.001, crops="centre", schedule="constant")
    losses = []
    for _ in range(40):
        while not work.epoch_done:
            work.step()
        losses.append(work.end_epoch(0.0))
    assert losses[0]["train_loss"] > 0.9  # about ln 3
    assert np.mean([epoch["train_loss"] for epoch in losses[-5:]]) < 0.3
    assert np.mean([epoch["train_top1_error"] for epoch in losses[-5:]]) < 15


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


def test_the_cosine_falls_at_every_step():
    """24 images in batches of 8 are 3 steps an epoch, 6 in all: half-way the rate is (1 + 0.01) / 2 of the first."""
    work = training(schedule="cosine", epochs=2)
    rates = []
    for _ in range(2):
        while not work.epoch_done:
            rates.append(work.learning_rate)
            work.step()
        assert work.end_epoch(0.0)["learning_rate"] == rates[-1]
    assert rates[0] == 0.01
    assert rates[3] == pytest.approx(0.00505)
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 6
    assert work.learning_rate == pytest.approx(1e-4)


def test_steps_are_those_of_torchs_optimiser():
    work = training(weight_decay=0.01, filter_rms=None, schedule="constant", input_scale=1 / 64)
    reference = copy.deepcopy(work.net)
    parameters = list(reference.named_parameters())
    groups = [
        {"params": [p for name, p in parameters if name.endswith("weight")], "weight_decay": 0.01},
        {"params": [p for name, p in parameters if name.endswith("bias")], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.SGD(groups, 0.01, 0.9)
    for batch in range(3):
        inputs, labels = next(work._prefetch(0, batch))
        torch.manual_seed(_step_seed(0, 0, batch))
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(nets.scores(reference.train(), inputs), labels).backward()
        optimiser.step()
        work.step()
    for (name, theirs), ours in zip(parameters, work.net.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7, msg=name)


def test_biases_do_not_decay():
    work = training()
    decayed, free = work.groups
    assert {len(p.shape) for p in free.parameters} == {1}
    assert free.weight_decay == 0
    assert decayed.weight_decay == 5e-4
    assert len(decayed.parameters) + len(free.parameters) == len(list(work.net.parameters()))


def test_fade_sets_the_weight_decay_and_is_reached():
    work = training(fade=0.2, epochs=2)
    run(work, 6)
    assert work.faded_to == pytest.approx(0.2)
    assert work.groups[0].weight_decay == work.weight_decay > 5e-4


def test_first_weights_fade_as_computed():
    """Without gradients: a linear layer's weight after 2,000 steps of a constant rate."""
    weight = torch.nn.Parameter(torch.ones(1))
    group = _Group([weight], 0.005, [None])
    for _ in range(2000):
        weight.grad = torch.zeros(1)
        group.update(0.01, 0.9)
    assert weight.item() == pytest.approx(math.exp(-1), rel=0.01)


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_loss_that_is_not_finite_ends_training_at_its_step(step):
    """Three steps make an epoch: step 5 is the second of epoch 2."""
    work = run(training(), step - 1)
    with torch.no_grad():
        work.net.full8.bias[0] = float("nan")
    with pytest.raises(Diverged, match="the training loss is NaN") as error:
        run(work, 3)
    assert (error.value.epoch, error.value.step) == ((step - 1) // 3 + 1, (step - 1) % 3 + 1)


def test_an_absurd_learning_rate_ends_training_instead_of_counting_as_right():
    with pytest.raises(Diverged):
        run(training(learning_rate=1000, filter_rms=None, epochs=20), 60)


def test_a_gpu_looks_at_the_loss_seldom_and_still_names_the_step(monkeypatch):
    work = training(epochs=2)
    monkeypatch.setattr(work, "require_finite_loss", lambda: None)
    work.step()
    with torch.no_grad():
        work.net.full8.bias[0] = float("inf")
    work.step()
    work.step()
    monkeypatch.undo()
    with pytest.raises(Diverged, match="the training loss is NaN") as error:
        work.end_epoch(0.0)
    assert error.value.step == 2


def test_weights_that_are_not_finite_are_not_given_out():
    work = training()
    with torch.no_grad():
        work.net.conv3.weight[0, 0, 0, 0] = float("inf")
    with pytest.raises(Diverged, match=r"conv3\.weight"):
        work.weights()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_mean_loss_is_over_the_images_seen(steps):
    work = training(batch=10)  # of 24 images: 10, 10 and 4
    losses = []
    for _ in range(steps):
        before = float(work.loss_sum)
        work.step()
        losses.append(float(work.loss_sum) - before)
    assert work.images_seen == (10, 20, 24)[steps - 1]
    assert work.mean_loss == pytest.approx(sum(losses) / work.images_seen)
    if work.epoch_done:
        assert work.end_epoch(50.0)["train_loss"] == pytest.approx(sum(losses) / 24)


class Waits(TorchDispatchMode):
    """Lists the operations of a block at which the host waits for the GPU: it asks for a value, or copies without `non_blocking`."""

    VALUES = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2", "repeat_interleave")

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name, on_gpu = operation.overloadpacket.__name__, [isinstance(argument, CudaTensor) for argument in args]
        between = name == "copy_" and on_gpu[0] != on_gpu[1] and not any(flag is True for flag in args[2:])
        by_mask = name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        if any(on_gpu) and (name in self.VALUES or between or by_mask):
            self.names.append(name)
        return operation(*args, **(kwargs or {}))

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        convert = torch.Tensor.to
        self.patch.setattr(
            torch.Tensor, "to", lambda tensor, *args, **kwargs: self._converted(convert, tensor, args, kwargs)
        )
        return super().__enter__()

    def __exit__(self, *error):
        self.patch.undo()
        return super().__exit__(*error)

    def _converted(self, convert, tensor, args, kwargs):
        result = convert(tensor, *args, **kwargs)
        if isinstance(result, CudaTensor) != isinstance(tensor, CudaTensor):
            self.names.append("to")
        return result


@pytest.fixture
def gpu_training():
    """24 images in batches of 4: six steps an epoch."""
    if pretend_cuda.REAL:
        pytest.skip("test_cuda_paths.py lets CUDA itself say where it is waited for")
    with pretend_cuda.device():
        net = nets.to_device(nets.build(Network(base="improved"), 64, 3, 0.1), "cuda")
        yield Training(net, pictures(), Recipe(input_size=64, batch=4), torch.device("cuda"), torch.bfloat16)


def waits_of_steps(work, count):
    waits = []
    for _ in range(count):
        with Waits() as seen:
            work.step()
        waits.append(seen.names)
    return waits


def test_steps_on_a_gpu_do_not_wait_for_it(gpu_training):
    """But for the order and the views of the whole epoch, which are copied at its first step."""
    assert waits_of_steps(gpu_training, 6) == [["to", "to"], [], [], [], [], []]
    gpu_training.end_epoch(50.0)
    assert waits_of_steps(gpu_training, 2) == [["to", "to"], []]


def test_a_look_at_the_loss_waits(gpu_training, monkeypatch):
    """Every second step here; else every fiftieth, half a second at the speed that is hoped for."""
    monkeypatch.setattr(training_module, "CHECK_EVERY", 2)
    assert waits_of_steps(gpu_training, 4)[1:] == [["_local_scalar_dense"], [], ["_local_scalar_dense"]]


@pytest.mark.parametrize(
    "wait",
    [
        lambda tensor: tensor.item(),
        lambda tensor: float(tensor),
        lambda tensor: bool(tensor > 0),
        lambda tensor: tensor.cpu(),
        lambda tensor: tensor.reshape(1)[tensor.reshape(1) > 0],
        lambda tensor: torch.zeros(()).copy_(tensor),
        lambda tensor: torch.ones(()).to("cuda"),
    ],
)
def test_what_makes_the_host_wait_is_seen(gpu_training, wait):
    with Waits() as seen:
        wait(gpu_training.loss_sum)
    assert seen.names != []
