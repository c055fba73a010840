"""Every computation with tensors on a pretended GPU (helpers/pretend_cuda.py) gives what it gives on a CPU, forward and backward.

A tensor left on the CPU, a `.numpy()` without `.cpu()` and types that CUDA's autocast gives and the CPU's does not make a test fail.
"""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import pretend_cuda
from helpers.pretend_cuda import CudaTensor
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from zfrepro import analysis
from zfrepro.core import (
    autograd_deconvnet,
    correspondence,
    crops,
    evaluation,
    evolution,
    features,
    field_boxes,
    gram,
    heads,
    invariance,
    layers,
    loading,
    nets,
    occlusion,
    overlap,
    probes,
    tiles,
    top_activations,
)
from zfrepro.core.architecture import Network
from zfrepro.core.incremental import split
from zfrepro.core.normalisation import CrossMapNorm
from zfrepro.core.recipe import Recipe
from zfrepro.core.training import Diverged, Training, TrainingImages
from zfrepro.models import devices

SIZE, STORED, CLASSES = 64, 72, 3


@pytest.fixture(autouse=True)
def _float32():
    """Without TF32, where there is a GPU."""
    with pretend_cuda.device():
        devices.choose("cuda")


def stored_images(count=8):
    return np.random.default_rng(0).integers(0, 256, (count, STORED, STORED, 3), dtype=np.uint8)


def mean_image():
    return stored_images().mean(0, dtype=np.float64).astype(np.float32)


def network(device, base="improved"):
    """In evaluation mode, a twentieth as wide as the paper's; without dropout, for which devices draw other numbers."""
    net = nets.build(Network(base=base), SIZE, CLASSES, 0.05, dropout=0.0)
    nets.initialise(net, "he", 5)
    return nets.to_device(net, device).eval()


def subtraction(device):
    return crops.MeanSubtraction(mean_image(), torch.device(device), 1 / 32)


def inputs(device, count=4):
    """float32 (count, 3, SIZE, SIZE) on the device."""
    images = stored_images(count)
    batches = loading.fixed_view_batches(images, subtraction(device), (4, 4, False), SIZE, count)
    return next(batches)[1]


def batches(device):
    return loading.fixed_view_batches(stored_images(), subtraction(device), (4, 4, False), SIZE, 3)


def strongest_arrays(strongest):
    return strongest.values.cpu(), strongest.images.cpu(), strongest.positions.cpu()


def of_evaluation(device, dtype=torch.float32):
    views = [crops.ten_views(STORED, SIZE)[4:6], [crops.centre_view(STORED, SIZE)]]
    return evaluation.averaged_probabilities(
        network(device), stored_images(), subtraction(device), SIZE, views, batch=3, dtype=dtype
    )


def of_evaluation_in_bfloat16(device):
    """Under autocast."""
    return of_evaluation(device, torch.bfloat16)


def of_features(device):
    net, numbers = network(device), (1, 5, 7)
    found = list(features.batches(net, stored_images(), subtraction(device), SIZE, numbers, batch=3))
    return features.sizes(net, SIZE, numbers), [arrays for _, arrays in found]


def of_top_activations(device):
    found = top_activations.find_top_activations(network(device), batches(device), {"relu1": 1, "relu5": 5}, 2)
    return [strongest_arrays(strongest) for strongest in found.values()]


def of_projections(device):
    """Every stage hands over maps and positions from the CPU, from where they were found, or both."""
    net, shown = network(device), inputs(device)
    maps, positions = tiles.strongest_positions(net, "relu5", shown, 3)
    return (
        tiles.projection_tiles(net, "relu5", shown, maps, positions),
        tiles.image_projections(net, "relu5", shown, maps.cpu(), positions.cpu()),
        tiles.patch_tiles(net, "relu5", stored_images(4), positions),
    )


def of_evolution(device):
    net = network(device)
    with torch.no_grad():
        net.load_state_dict({name: 2 * tensor.cpu() for name, tensor in net.state_dict().items()})
    convolutions = {"conv1": 1, "conv5": 5}
    found = evolution.survey(evolution.up_to_convolutions(net, convolutions), batches(device), convolutions, 2)
    similarity = evolution.filter_similarity(net.conv1.weight.detach(), network(device).conv1.weight.detach() + 1)
    return [(strongest_arrays(strongest), maxima.cpu()) for strongest, maxima in found.values()], similarity


def of_invariance(device):
    image = torch.from_numpy(stored_images(1)[0]).to(device).permute(2, 0, 1).float()
    net, results = network(device), []
    for moves, beyond in (
        (invariance.shifts([-8.0, 0.0, 2.5]), invariance.MIRRORED),
        (invariance.scales([1.0, 1.5]), invariance.MIRRORED),
        (invariance.turns([0.0, 30.0]), invariance.BLACK),
    ):
        views = invariance.views(image, SIZE, moves, beyond)
        outputs, probabilities = invariance.features_and_probabilities(net, views / 32 - 4, (1, 7))
        moved = [invariance.distances(maps, maps[:1]).cpu() for maps in outputs.values()]
        results.append((views.cpu(), probabilities.cpu(), moved))
    return results


def of_correspondence(device):
    net, images = network(device), stored_images(3)[:, :SIZE, :SIZE]
    covered = correspondence.cover(images, np.array([[0, 0], [20, 20], [40, 30]]), 20, 128)
    clean, masked = (
        correspondence.features(net, subtraction(device)(part, np.tile([4, 4, 0], (3, 1))), {5: "pool5", 7: "relu7"})
        for part in (images, covered)
    )
    changes = {layer: correspondence.signs(clean[layer], masked[layer]) for layer in clean}
    return [vars(correspondence.compare(layer_changes)) for layer_changes in changes.values()]


def of_occlusion(device, dtype=torch.float32):
    """Also in bfloat16, for which the network is copied."""
    net, shown = network(device), inputs(device, 2)
    grey = torch.zeros_like(shown[0])
    occluder, by_windows = (
        make(net, "relu5", 20, 22, 4, dtype) for make in (occlusion.make_occluder, occlusion.Occluder)
    )
    predictions = [occlusion.predict(net, shown, "relu5"), occluder(shown[0], grey), by_windows(shown[1], grey)]
    probabilities, strongest = occlusion.survey(net, batches(device), "relu5", 2)
    results = [(prediction.probabilities.cpu(), prediction.activations.cpu()) for prediction in predictions]
    return results, probabilities.cpu(), strongest_arrays(strongest)


def of_occlusion_in_bfloat16(device):
    return of_occlusion(device, torch.bfloat16)


def of_overlap(device):
    target, source = stored_images(4), stored_images(9)[::-1].copy()
    return [
        overlap.find(target, source, 16, block=4, mirrored=True, crops=parts, device=device) for parts in (False, True)
    ]


def of_gradients(device):
    """Of the inputs through a whole network, with its filters clipped."""
    net = network(device, "baseline")
    nets.clip_filters(net, 0.05)
    shown = inputs(device).requires_grad_()
    functional.cross_entropy(nets.scores(net, shown), torch.tensor([0, 1, 2, 0], device=device)).backward()
    weights = net.conv2.weight
    return shown.grad.cpu(), weights.detach().cpu(), weights.grad.cpu()


class Branches(nn.Module):
    """Two convolutions whose sum is pooled: no chain."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.pool = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3, bias=False), nn.MaxPool2d(3, 2)

    def forward(self, images):
        return self.pool(functional.relu(self.left(images)) + self.right(images).relu_())


def of_any_network(device):
    """The deconvnet by autograd, the boxes of receptive fields, the layers' results."""
    torch.manual_seed(0)
    net = Branches().to(device).eval()
    shown, layer = inputs(device, 2), layers.Layer("pool", net.pool, 1)
    projections = autograd_deconvnet.project(net, layer, shown, lambda output: output * (output > output.mean()))
    results, returned = layers.observe(net, shown, ["left", "pool"])
    boxes = field_boxes.field_boxes(net, layer, shown[:1])
    tensors = (projections.pixels, projections.signal, boxes, returned, *results.values())
    assert {tensor.device.type for tensor in tensors} == {device}
    return [tensor.detach().cpu() for tensor in tensors]


class Scored(Branches):
    """With class scores."""

    def forward(self, images):
        return super().forward(images).mean((2, 3))


def of_the_library(device):
    """All analyses, of a chain and of another network."""
    shown, results = inputs("cpu", 3), []
    torch.manual_seed(0)
    for net, layer in ((network(device), "relu5"), (Scored().to(device).eval(), "pool")):
        corners = torch.tensor([[[0, 0], [5, 9], [20, 30]]])
        covered = analysis.occlusion_maps(net, shown[:1], layer, square=20, stride=22, fill=[0.5, 0, 1])
        curves = analysis.invariance(
            net, shown, [layer], shift=[2.0], scale=[1.5], rotation=[30.0], size=60 if layer == "pool" else 64
        )
        projections = [analysis.project(net, shown, layer, [0, 2, 1], positions) for positions in ("strongest", "all")]
        top = analysis.top_activations(net, shown, layer, 2)
        signs = analysis.correspondence(net, shown, corners, [layer], square=20)
        results += [
            tree_leaves([vars(part) for part in (covered, top, *projections, *curves.values(), *signs.values())])
        ]
    return [[leaf.detach().cpu() for leaf in leaves if isinstance(leaf, torch.Tensor)] for leaves in results]


def of_probes(device):
    """Softmax, linear SVM and one sigmoid per class on inner products; classes well apart, so that solvers agree."""
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 3
    shown = (4 * np.eye(3)[labels] @ generator.normal(size=(3, 20)) + generator.normal(size=(24, 20))).astype(
        np.float32
    )
    products, fold = gram.gram(shown, device), (np.arange(18), np.arange(18, 24))
    exclusive = probes.task(products, labels, *fold, 2)
    several = probes.task(products, np.where(np.eye(3)[labels] > 0, 1, -1), *fold, 2)
    predicted = [probes.classify(exclusive, kind, (1.0, 3.0)).predicted for kind in ("softmax", "svm")]
    return [products.cpu(), *predicted, probes.sigmoids(several, (1.0, 3.0))[0].argmax(1)]


COMPUTATIONS = (
    of_the_library,
    of_any_network,
    of_correspondence,
    of_evaluation,
    of_evaluation_in_bfloat16,
    of_evolution,
    of_features,
    of_gradients,
    of_invariance,
    of_occlusion,
    of_occlusion_in_bfloat16,
    of_overlap,
    of_probes,
    of_projections,
    of_top_activations,
)


ROUGH = {"rtol": 2e-2, "atol": 5e-3}  # bfloat16, by windows on a CPU and by full passes on a GPU


@pytest.mark.parametrize("compute", COMPUTATIONS, ids=lambda function: function.__name__.removeprefix("of_"))
def test_a_gpu_gives_what_a_cpu_gives(compute):
    expected = compute("cpu")
    with pretend_cuda.device() as gpu:
        computed = compute("cuda")
    assert gpu.operations > 0
    tolerances = ROUGH if compute is of_occlusion_in_bfloat16 else {"rtol": gpu.rtol, "atol": gpu.atol}
    for ours, theirs in zip(tree_leaves(computed), tree_leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), **tolerances)


def test_fully_connected_layers_become_convolutions_on_a_cpu_only():
    """Where they are faster; results are those of the layers themselves either way."""
    with pretend_cuda.device():
        for device in ("cpu", "cuda"):
            _, head = split(network(device))
            maps = (16, 1, head.full6.in_features // 16)
            assert (heads.as_convolutions(head, maps) is head) == (device == "cuda")


def training(device, dtype=torch.float32, **changes):
    recipe = {
        "input_size": SIZE,
        "epochs": 2,
        "batch": 4,
        "crops": "random",
        "schedule": "cosine",
        "input_scale": 1 / 32,
    }
    images = TrainingImages(stored_images(10), np.arange(10) % CLASSES, mean_image())
    return Training(network(device), images, Recipe(**recipe | changes), torch.device(device), dtype)


def run(work, steps):
    """Take steps, closing epochs on the way; what was recorded of each."""
    records = []
    for _ in range(steps):
        work.step()
        if work.epoch_done:
            records.append(work.end_epoch(50.0))
    return records


def saved(state):
    """The state after a file, as storage/checkpoints.py writes and reads it."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


@pytest.mark.parametrize("changes", [{}, {"momentum": 0.0, "filter_rms": None}], ids=["paper", "plain"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training_takes_the_same_steps(dtype, changes):
    """bfloat16 under CUDA's autocast: of the functions used, its lists and the CPU's differ in the normalisation's root only,
    which autocast leaves alone."""
    expected = training("cpu", dtype, **changes)
    records = run(expected, 4)
    with pretend_cuda.device() as gpu:
        work = training("cuda", dtype, **changes)
        for ours, theirs in zip(run(work, 4), records, strict=True):
            assert ours == pytest.approx(theirs, gpu.rtol)
        assert gpu.operations > 0
        assert work.loss_sum.device == work.net.conv1.weight.device == gpu.device
        assert work.mean_loss == pytest.approx(expected.mean_loss, gpu.rtol)
        for name, tensor in work.weights().items():
            assert tensor.device.type == "cpu"
            torch.testing.assert_close(tensor, expected.weights()[name], rtol=gpu.rtol, atol=gpu.atol)


@pytest.mark.skipif(not pretend_cuda.REAL, reason="no GPU; test_training.py watches the operations instead")
def test_steps_do_not_wait_for_the_gpu():
    """CUDA itself raises at a wait. The first step of an epoch copies its order and views."""
    work = training("cuda", torch.bfloat16, batch=2)
    work.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        run(work, 3)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(("first", "second"), [("cuda", "cuda"), ("cuda", "cpu"), ("cpu", "cuda")])
def test_a_saved_training_goes_on_on_either_device(first, second):
    expected = training("cpu")
    run(expected, 5)
    with pretend_cuda.device() as gpu:
        begun = training(first)
        run(begun, 2)
        state = saved(begun.state())
        assert {leaf.device.type for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor)} == {"cpu"}
        work = training(second)
        work.restore(state)
        run(work, 3)
        assert (work.epoch, work.batch) == (expected.epoch, expected.batch)
        for name, tensor in work.weights().items():
            torch.testing.assert_close(tensor, expected.weights()[name], rtol=gpu.rtol, atol=gpu.atol)


def test_a_gpu_looks_at_the_loss_at_the_end_of_an_epoch():
    """Not at every step, where a look waits for the device."""
    with pretend_cuda.device():
        work = training("cuda")
        run(work, 1)
        with torch.no_grad():
            work.net.full8.bias[0] = float("nan")
        work.step()
        work.step()
        with pytest.raises(Diverged, match="the training loss is NaN") as error:
            work.end_epoch(50.0)
    assert (error.value.epoch, error.value.step) == (1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_normalisation_under_autocast(dtype):
    with pretend_cuda.device():
        maps = torch.rand(2, 24, 6, 6).to("cuda", dtype).requires_grad_()
        norm = CrossMapNorm(24).to("cuda")
        with torch.autocast("cuda", torch.bfloat16):
            out = norm(maps)
        out.float().sum().backward()
        assert out.dtype == maps.grad.dtype == dtype


# Is what is pretended as on a GPU? On one there is nothing to pretend.

pretended = pytest.mark.skipif(pretend_cuda.REAL, reason="a GPU is used")


@pretended
def test_tensors_of_two_devices_do_not_mix():
    with pretend_cuda.device():
        there, here = torch.ones(3, 3, device="cuda"), torch.ones(3, 3)
        for mix in (
            lambda: there + here,
            lambda: here @ there,
            lambda: here.add_(there),
            lambda: torch.cat([here, there]),
        ):
            with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
                mix()
        with pytest.raises(RuntimeError, match="indices should be either on cpu or on the same device"):
            here[torch.tensor([0], device="cuda")]
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            there.numpy()
        with pytest.raises(TypeError, match="can't convert cuda:0"):
            np.asarray(there)


@pretended
def test_what_may_cross_devices_does():
    with pretend_cuda.device():
        there, here = torch.arange(6.0, device="cuda").view(3, 2), torch.zeros(3, 2)
        assert there[torch.tensor([2])].tolist() == [[4.0, 5.0]]
        assert (there + torch.tensor(1.0)).device.type == "cuda"
        here.copy_(there)
        assert type(here) is torch.Tensor
        assert here.tolist() == there.cpu().tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
        there.copy_(here + 1)
        assert isinstance(there, CudaTensor)
        assert float(there.sum()) == 21.0


@pretended
def test_the_fused_optimiser_wants_gradients_as_their_weights():
    """Strides and types, as CUDA's kernel does; autograd gives gradients so, whatever the kernels before them make."""
    with pretend_cuda.device():
        weight = torch.ones(2, 3, 4, 4, device="cuda").to(memory_format=torch.channels_last)
        update = torch.ops.aten._fused_sgd_.default
        settings = {
            "weight_decay": 0.0,
            "momentum": 0.9,
            "lr": 0.1,
            "dampening": 0.0,
            "nesterov": False,
            "maximize": False,
        }
        for wrong in (torch.ones(2, 3, 4, 4, device="cuda"), weight.to(torch.bfloat16), torch.ones(2, 3, 4, 4)):
            with pytest.raises(RuntimeError, match="same d"):
                update([weight], [wrong], [torch.zeros_like(weight)], **settings, is_first_step=True)
        update([weight], [torch.ones_like(weight)], [torch.zeros_like(weight)], **settings, is_first_step=True)
        assert weight.flatten()[0].item() == pytest.approx(0.9)


FUNCTIONS = {
    "conv2d": lambda x: functional.conv2d(x, x),
    "matmul": lambda x: x @ x,
    "linear": lambda x: functional.linear(x.flatten(1), x.flatten(1)),
    "rsqrt": torch.rsqrt,
    "sqrt": torch.sqrt,
    "pow": lambda x: x**0.5,
    "softmax": lambda x: x.softmax(1),
    "sum": torch.sum,
    "mul": lambda x: x * x,
    "relu": torch.relu,
    "max_pool2d": lambda x: functional.max_pool2d(x, 2),
    "addcmul": lambda x: torch.addcmul(x, x.float(), x),
    "cross_entropy": lambda x: functional.cross_entropy(
        x.flatten(1), torch.zeros(4, dtype=torch.int64, device=x.device)
    ),
}


@pretended
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_types_under_autocast_are_those_of_torchs_cuda(name, dtype, monkeypatch):
    """Against torch's own lists, which fake tensors obey on machines without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    with FakeTensorMode(), torch.autocast("cuda", torch.bfloat16):
        expected = FUNCTIONS[name](torch.empty(4, 4, 4, 4, device="cuda", dtype=dtype)).dtype
    with pretend_cuda.device(), torch.autocast("cuda", torch.bfloat16):
        assert FUNCTIONS[name](torch.ones(4, 4, 4, 4, device="cuda", dtype=dtype)).dtype == expected


THROUGH_OTHERS = {  # through tiles, all that checks its numbers, occlusion, probes, folds, training, projections, occlusion
    "deconvnet",
    "finite",
    "full_convolution",
    "network_graph",
    "newton",
    "shrinking",
    "staging",
    "transposed_filters",
    "unit_windows",
    "window_batches",
}
NO_DEVICE = {"chains", "deconvnet_diagram", "receptive_field"}  # the structure of networks, worked examples


def test_every_module_that_computes_with_torch_is_tried_here():
    """A new one needs a line in COMPUTATIONS; one that makes no tensor on a device is named above."""
    folder = Path(nets.__file__).parent
    tested = {name.rpartition(".")[2] for name in re.findall(r"zfrepro\.core\.\w+", Path(__file__).read_text())}
    tested |= {name for name, value in globals().items() if getattr(value, "__package__", "") == "zfrepro.core"}
    with_torch = {
        path.stem for path in folder.glob("*.py") if re.search(r"^(import|from) torch\b", path.read_text(), re.M)
    }
    assert with_torch <= tested | THROUGH_OTHERS | NO_DEVICE
