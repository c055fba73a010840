"""The deconvnet pass of any network, as a backward pass of autograd with other rules (paper section 2.1; see core/deconvnet.py).

Every rectifier passes on the rectified signal, whatever its input was; a max pooling passes it through its switches; local response
normalisation is skipped; a convolution, fully connected layer, average pooling or batch normalisation passes it through its transpose,
without bias; sums and concatenations pass it to all their parts. This is what `core/deconvnet.py` does on a chain, and the two agree.

Functions are replaced while the network runs, not modules: functional, in-place and repeated ReLUs are met alike. The graph that is left
is then read: an operation in it that is neither linear nor replaced has no deconvnet, and is refused or noted by the name of its module.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from zfrepro.core.deconvnet import unpool
from zfrepro.core.finite import require_finite
from zfrepro.core.layers import Layer, hooked, run_until
from zfrepro.core.normalisation import CrossMapNorm

RECTIFIERS = {functional.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu6}
CLIPS = {  # rectifiers where they clip at 0 from below: function -> its default for the lower limit
    functional.hardtanh: -1.0,
    functional.hardtanh_: -1.0,
    **dict.fromkeys(
        (torch.clamp, torch.clamp_, torch.clip, torch.clip_, torch.clamp_min, torch.clamp_min_, Tensor.clamp, Tensor.clamp_,
         Tensor.clip, Tensor.clip_, Tensor.clamp_min, Tensor.clamp_min_)
    ),
}  # fmt: skip
THRESHOLDS = {functional.threshold, torch.threshold, torch.threshold_}
POOLS = {functional.max_pool2d, torch.max_pool2d}
DROPOUTS = {functional.dropout, functional.dropout1d, functional.dropout2d, functional.dropout3d,
            functional.alpha_dropout, functional.feature_alpha_dropout}  # fmt: skip
PARTS = {
    torch.chunk,
    torch.split,
    torch.tensor_split,
    torch.unbind,
    Tensor.chunk,
    Tensor.split,
    Tensor.tensor_split,
    Tensor.unbind,
}
SKIPPED = (CrossMapNorm, nn.CrossMapLRN2d)  # norms that compute outside torch's functions

LINEAR_NODES = """Add Sub Rsub Neg Sum Mean Cat Stack Split SplitWithSizes Chunk Unbind Tile Repeat RepeatInterleave Flip Roll Slice
    Select Narrow Index IndexSelect Gather View UnsafeView ReshapeAlias Reshape Transpose T Permute MoveAxis Movedim Expand Squeeze
    Unsqueeze Flatten Unflatten Clone Copy CopySlices ToCopy Alias AsStrided Diagonal Unfold Im2Col Col2Im ConstantPadNd ReflectionPad2D
    ReplicationPad2D AvgPool2D AdaptiveAvgPool2D MkldnnAdaptiveAvgPool2D MaxPool2DWithIndices AdaptiveMaxPool2D UpsampleNearest2D
    UpsampleBilinear2D UpsampleBicubic2D PixelShuffle PixelUnshuffle ChannelShuffle NativeChannelShuffle NativeBatchNorm CudnnBatchNorm
    MiopenBatchNorm AccumulateGrad Rectify Skip MaxPool"""
LINEAR = frozenset(
    LINEAR_NODES.split()
)  # of autograd's nodes, without `Backward`; max pooling passes the signal through its switches
PRODUCTS = {  # linear as long as one of these inputs does not depend on the image
    "Mul": (0, 1), "Mm": (0, 1), "Bmm": (0, 1), "Mv": (0, 1), "Addmm": (1, 2), "Addbmm": (1, 2), "Baddbmm": (1, 2), "Linear": (0, 1),
    "MkldnnLinear": (0, 1), "Convolution": (0, 1), "GridSampler2D": (0, 1), "Addcmul": (1, 2),
}  # fmt: skip
REASONS = {
    "Mul": "multiplies two parts of the features, as a gate does",
    "Bmm": "multiplies two parts of the features, as attention does",
    "Softmax": "lets features compete, as attention does",
    "Max": "takes a maximum over maps or positions without switches",
    "Amax": "takes a maximum over maps or positions without switches",
    "Maximum": "takes the larger of two features",
    "NativeBatchNorm": "uses the statistics of the batch",
    "Relu": "runs in compiled code, where it cannot be replaced; use the model that was compiled",
}


Compute = Callable[[Tensor], Tensor]  # a new tensor from the maps


class _Rectify(torch.autograd.Function):
    """The value that the network computes of its maps; its signal is rectified."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, compute: Compute) -> Tensor:
        return compute(maps)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:
        return signals[0].clamp(min=0), None


class _Skip(_Rectify):
    """The same value; its signal passes as it is."""

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:
        return signals[0], None


class _MaxPool(torch.autograd.Function):
    """The deconvnet's own unpooling: where windows overlap, torch's may add in another order every time on a GPU."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, pool: nn.MaxPool2d) -> Tensor:
        window = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
        pooled, switches = functional.max_pool2d(maps, *window, return_indices=True)
        ctx.pool, ctx.size = pool, (maps.shape[2], maps.shape[3])
        ctx.save_for_backward(switches)
        return pooled

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor, None]:
        return unpool(signals[0], ctx.saved_tensors[0], ctx.size, ctx.pool), None


_rectify: Callable[[Tensor, Compute], Tensor] = _Rectify.apply
_skip: Callable[[Tensor, Compute], Tensor] = _Skip.apply
_max_pool: Callable[[Tensor, nn.MaxPool2d], Tensor] = _MaxPool.apply


@dataclass(frozen=True)
class Projections:
    pixels: Tensor  # (B, C, H, W)
    signal: Tensor  # (B, ...), the activations that were projected, all others 0
    passed: tuple[str, ...]  # operations without a deconvnet whose derivative stood in for it


def project(
    model: nn.Module, layer: Layer, images: Tensor, select: Callable[[Tensor], Tensor], pass_undefined: bool = False
) -> Projections:
    """Project activations of every image (B, C, H, W); `select` turns the layer's output (B, ...) into the signal to begin with.

    `layer.call` is a number. Raises ValueError naming a module that has no deconvnet, unless `pass_undefined`, and NotFiniteError.
    """
    with torch.inference_mode(False), torch.enable_grad(), without_weight_gradients(model):
        pixels = images.detach().clone().requires_grad_()
        output = _run(model, layer, pixels.clone())
        if output.grad_fn is None:
            raise ValueError(f"layer {layer.name}: its result does not depend on the image, or the network detaches it")
        undefined = _undefined(output.grad_fn, dict(model.named_modules()))
        if undefined and not pass_undefined:
            raise ValueError(_refusal(layer.name, undefined))
        signal = select(output.detach())
        (projected,) = torch.autograd.grad(output, pixels, signal)
    return Projections(require_finite(projected, "projected values", f"layer {layer.name}"), signal, tuple(undefined))


def _refusal(layer: str, undefined: list[str]) -> str:
    others = f", and {len(undefined) - 1} more" if len(undefined) > 1 else ""
    return (
        f"layer {layer}: no deconvnet is defined below it: {undefined[0]}{others}; choose a layer before it, "
        'or rectifier="pass" to pass the signal through its derivative instead'
    )


def _run(model: nn.Module, layer: Layer, images: Tensor) -> Tensor:
    """The layer's output, with a graph in which the deconvnet's rules stand."""
    names: list[str] = []
    with _named_modules(model, names), _Rules(names):
        return run_until(model, layer, images)


@contextmanager
def without_weight_gradients(model: nn.Module) -> Iterator[None]:
    """Weights need no gradient inside; so a graph holds only what depends on the image, and less memory."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


@contextmanager
def _named_modules(model: nn.Module, names: list[str]) -> Iterator[None]:
    """Keep in `names` the modules that are running, outermost first; norms that no function shows are skipped here."""

    def enter(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, inputs: names.append(name)

    def leave(module: nn.Module, inputs: Any, output: Any) -> Any:
        names.pop()
        return _skip(inputs[0], lambda maps: output.detach().clone()) if isinstance(module, SKIPPED) else None

    with ExitStack() as stack:
        for name, module in model.named_modules():
            stack.enter_context(module.register_forward_pre_hook(enter(name)))
        stack.enter_context(hooked((module, leave) for module in model.modules()))
        yield


class _Rules(TorchFunctionMode):
    """Replaces rectifiers, max pooling and normalisation, and labels what enters the graph with the module that runs."""

    def __init__(self, names: list[str]):
        super().__init__()
        self.names = names

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = self._call(function, args, kwargs or {})
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor) and tensor.grad_fn is not None:
                labels = cast("dict[str, str]", tensor.grad_fn.metadata)
                labels.setdefault("module", self.names[-1] if self.names else "")
        return result

    def _call(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        maps = args[0] if args else kwargs.get("input")
        if not isinstance(maps, Tensor) or not maps.requires_grad:
            return function(*args, **kwargs)
        if function in DROPOUTS and kwargs.get("training", args[2] if len(args) > 2 else True):
            name = self.names[-1] if self.names else "the network"
            raise ValueError(f"{name}: draws at random in evaluation mode (dropout); switch it off")
        if _is_rectifier(function, args, kwargs):
            return _with_rule(_rectify, function, maps, args, kwargs)
        if function is functional.local_response_norm:
            return _with_rule(_skip, function, maps, args, kwargs)
        if function in PARTS:  # autograd lets no function work in place on one of several views
            return tuple(part.clone() for part in function(*args, **kwargs))
        if function in POOLS and (pool := _pool(*args[1:], **kwargs)):
            return _max_pool(maps, pool)
        return function(*args, **kwargs)


def _with_rule(
    rule: Callable[[Tensor, Compute], Tensor], function: Any, maps: Tensor, args: Any, kwargs: dict[str, Any]
) -> Tensor:
    """The function's own value with another rule for the signal; what works in place still changes its input."""
    in_place = False

    def compute(maps: Tensor) -> Tensor:
        nonlocal in_place
        copy = maps.detach().clone()
        value: Tensor = function(copy, *args[1:], **kwargs) if args else function(**kwargs | {"input": copy})
        in_place = value is copy
        return value

    result = rule(maps, compute)
    return maps.copy_(result) if in_place else result


def _is_rectifier(function: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether it sets negative values to 0 and keeps small positive ones."""
    if function in CLIPS:
        low = args[1] if len(args) > 1 else kwargs.get("min_val", kwargs.get("min", CLIPS[function]))
        return isinstance(low, int | float) and low == 0
    if function in THRESHOLDS:
        return [*args[1:], *(kwargs[key] for key in ("threshold", "value") if key in kwargs)][:2] == [0, 0]
    return function in RECTIFIERS


def _pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    input: Tensor | None = None,
) -> nn.MaxPool2d | None:
    """The arguments of `functional.max_pool2d` as a module; None where the indices are asked for, too."""
    if return_indices:
        return None
    return nn.MaxPool2d(kernel_size, stride or kernel_size, padding, dilation, ceil_mode=ceil_mode)


def _undefined(root: Node, modules: dict[str, nn.Module]) -> list[str]:
    """What the graph below holds that has no deconvnet, the topmost first: `blocks.0.mlp.1 (GELU): ...`."""
    nodes, seen, undefined = [(root, "")], {root}, dict[str, None]()
    for node, inherited in nodes:  # grows while it is read
        name = cast("dict[str, str]", node.metadata).get("module", inherited)
        if reason := _reason(node):
            kind = type(modules[name]).__name__
            undefined[f"{name} ({kind}) {reason}" if name else f"{kind} {reason}"] = None
        below = [child for child, _ in node.next_functions if child is not None and child not in seen]
        seen.update(below)
        nodes += [(child, name) for child in below]
    return list(undefined)


def _reason(node: Node) -> str | None:
    """Why a node has no deconvnet; None where it is linear, or one of the rules above."""
    name = re.sub(r"Backward\d*$|Backwards$", "", node.name().rpartition("::")[2]).strip("_")
    inputs = [child for child, _ in node.next_functions]
    if name in PRODUCTS and sum(inputs[i] is not None for i in PRODUCTS[name] if i < len(inputs)) < 2:
        return None
    if name == "Div" and inputs[1:] in ([], [None]):
        return None
    batch_statistics = name == "NativeBatchNorm" and getattr(node, "_saved_training", False)
    if name in LINEAR and not batch_statistics:
        return None
    return REASONS.get(name, f"computes {name}, which is neither linear nor a rectifier")
