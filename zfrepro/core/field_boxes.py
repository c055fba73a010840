"""Which pixels every unit of a layer sees, in any network: the box around its receptive field, found in one forward pass.

Each map holds, at every position, the least row that the unit there reads, the least of minus the row, and the same of columns; the image
holds its own rows and columns. The network then runs on these numbers with other functions: a convolution or pooling takes the least in its
window, sums of branches the least of both, functions of single values leave them as they are. Positions outside a map are +infinity.
What is not known to read less reads the whole image, -infinity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.utils import _pair as pair
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from zfrepro.core.autograd_deconvnet import SKIPPED
from zfrepro.core.layers import Layer, hooked, run_until

Rule = Callable[..., Any]
WHOLE = -torch.inf  # of a unit that sees the whole image, whichever of the four numbers it is
UNARY_FUNCTIONS = """relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu celu gelu silu mish hardswish hardsigmoid hardtanh hardtanh_
    sigmoid sigmoid_ tanh tanh_ softplus softsign logsigmoid prelu threshold threshold_ clamp clamp_ clamp_min clamp_min_ clamp_max clip exp
    log sqrt rsqrt abs neg square pow dropout dropout_ dropout1d dropout2d alpha_dropout feature_dropout batch_norm local_response_norm
    detach float double half bfloat16 to type_as"""
BINARY_FUNCTIONS = """add add_ sub sub_ mul mul_ div div_ true_divide rsub maximum minimum where __add__ __radd__ __iadd__ __sub__ __rsub__
    __isub__ __mul__ __rmul__ __imul__ __truediv__ __itruediv__"""
SHAPE_FUNCTIONS = """view view_as reshape reshape_as flatten unflatten permute transpose swapaxes movedim unsqueeze squeeze expand expand_as
    repeat chunk split tensor_split unbind cat concat concatenate stack narrow select index_select flip roll pixel_shuffle pixel_unshuffle
    channel_shuffle t unfold size dim numel stride is_contiguous ndimension element_size is_floating_point get_device __getitem__
    contiguous clone __setitem__ __get__ __set__ __len__"""  # these move values, or only ask
UNARY, BINARY, SHAPES = (frozenset(names.split()) for names in (UNARY_FUNCTIONS, BINARY_FUNCTIONS, SHAPE_FUNCTIONS))


@torch.no_grad()
def field_boxes(model: nn.Module, layer: Layer, images: Tensor) -> Tensor:
    """int64 (h, w, 4): first row, one past the last, first column, one past the last of the pixels that each unit of the layer sees.

    `images` (1, C, H, W) gives the size; `layer.call` is a number. Units of a fully connected layer: (1, 1, 4). A unit that sees nothing
    but the border has an empty box. Raises ValueError where the network does not run the layer.
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, dtype=_exact(images.dtype), device=images.device)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=rows.dtype, device=images.device).expand(height, width)
    numbers = torch.stack([rows, -rows, columns, -columns])[:, None].expand(-1, images.shape[1], -1, -1)
    least = _run(model, layer, numbers.contiguous(), images.dtype)
    if not _is_seen(least):
        raise ValueError(f"layer {layer.name}: its result does not depend on the image")
    maps = (least.flatten(2) if least.dim() == 4 else least.flatten(1)[:, :, None]).amin(dim=1)
    top, bottom, left, right = maps.view(4, *(least.shape[2:] if least.dim() == 4 else (1, 1)))
    ends = [(top, bottom, height), (left, right, width)]
    return torch.stack([part for low, high, size in ends for part in _ends(low, high, size)], dim=-1)


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Half precision does not count beyond 256, or 2048."""
    return dtype if dtype == torch.float64 else torch.float32


def _ends(low: Tensor, high: Tensor, size: int) -> tuple[Tensor, Tensor]:
    first, last = low.clamp(0, size).long(), (1 - high).clamp(0, size).long()
    return torch.minimum(first, last), last


def _run(model: nn.Module, layer: Layer, numbers: Tensor, dtype: torch.dtype) -> Tensor:
    mode = _LeastInWindow(numbers, dtype)
    with hooked((module, mode.after_module) for module in model.modules()), mode:
        return run_until(model, layer, numbers)


class _LeastInWindow(TorchFunctionMode):
    """Tensors that hold numbers of this kind are marked; all others are the network's own constants, and are computed as usual."""

    def __init__(self, numbers: Tensor, dtype: torch.dtype):
        super().__init__()
        self.dtype, self.exact = dtype, numbers.dtype  # of the network's weights; of the numbers
        _mark(numbers)

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = list(_tensors([*args, *kwargs.values()]))
        if not any(map(_is_seen, tensors)):
            return function(*args, **kwargs)
        return _mark(self._call(function, args, kwargs, [tensor for tensor in tensors if _is_seen(tensor)]))

    def after_module(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """What a module computes unseen, as compiled code does, sees the whole image; but our norms see one position."""
        if not any(map(_is_seen, _tensors(inputs))) or all(map(_is_seen, _tensors([output]))):
            return None
        return inputs[0] if isinstance(module, SKIPPED) else _mark(self._see_all(output))

    def _call(self, function: Any, args: Any, kwargs: dict[str, Any], seen: list[Tensor]) -> Any:
        name = getattr(function, "__name__", "")
        if name == "__setitem__" and not _is_seen(args[0]):
            return _mark(args[0].copy_(self._see_all(args[0])))
        if name in SHAPES:
            return function(*args, **kwargs)
        if name in RULES:
            return RULES[name](*args, **kwargs)
        if name in UNARY and _is_seen(args[0] if args else kwargs["input"]):
            return seen[0]
        if name in BINARY and all(tensor.is_floating_point() for tensor in seen):
            return _least(name, args, seen)
        args, kwargs = tree_map_only(Tensor, self._as_input, (args, kwargs))
        return self._see_all(function(*args, **kwargs))

    def _as_input(self, tensor: Tensor) -> Tensor:
        """Numbers are float32 at least, which the weights of a network in half precision do not take."""
        return tensor.to(self.dtype) if _is_seen(tensor) and tensor.is_floating_point() else tensor

    def _see_all(self, result: Any) -> Any:
        if isinstance(result, tuple | list):
            return type(result)(self._see_all(part) for part in result)
        if isinstance(result, Tensor) and result.is_floating_point():
            return torch.full(result.shape, WHOLE, dtype=self.exact, device=result.device)
        return result


def _least(name: str, args: Any, seen: list[Tensor]) -> Tensor:
    least = seen[0]
    for other in _tensors(args):  # constants see nothing, but may have more positions
        least = torch.minimum(least, other if _is_seen(other) else least.new_full(other.shape, torch.inf))
    in_place = (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")
    return args[0].copy_(least) if in_place else least


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _mark(result: Any) -> Any:
    for tensor in _tensors([result]):
        tensor._sees_pixels = True  # type: ignore[attr-defined] # lives as long as the tensor's Python object
    return result


def _is_seen(tensor: Tensor) -> bool:
    return getattr(tensor, "_sees_pixels", False)


def _conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """All output maps of a group see what any input map of it sees."""
    kernel = (weight.shape[2], weight.shape[3])
    if isinstance(padding, str):
        total = [d * (k - 1) for k, d in zip(kernel, pair(dilation), strict=True)] if padding == "same" else [0, 0]
        left, top = total[1] // 2, total[0] // 2
        input = functional.pad(input, (left, total[1] - left, top, total[0] - top), value=torch.inf)
        padding = 0
    grouped = input.view(len(input), groups, -1, *input.shape[2:]).amin(dim=2)
    return _least_pool(grouped, kernel, stride, padding, dilation).repeat_interleave(len(weight) // groups, dim=1)


def _least_pool(
    maps: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool = False
) -> Tensor:
    """The border is laid on before, where torch's own pooling, which takes half a window at most, rounds down."""
    if ceil_mode:
        return -functional.max_pool2d(-maps, kernel, stride, padding, dilation, ceil_mode=True)
    rows, columns = pair(padding)
    bordered = functional.pad(maps, (columns, columns, rows, rows), value=torch.inf)
    return -functional.max_pool2d(-bordered, kernel, stride, 0, dilation)


def _pool(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, *others: Any,
    **options: Any,
) -> Tensor:  # fmt: skip
    return _least_pool(input, kernel_size, stride or kernel_size, padding, dilation, ceil_mode)


def _average_pool(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, *others: Any, **options: Any
) -> Tensor:  # fmt: skip
    return _least_pool(input, kernel_size, stride or kernel_size, padding, 1, ceil_mode)


def _adaptive(input: Tensor, output_size: Any, *others: Any, **options: Any) -> Tensor:
    return -functional.adaptive_max_pool2d(-input, output_size)


def _linear(input: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    return input.amin(dim=-1, keepdim=True).repeat_interleave(len(weight), dim=-1)


def _layer_norm(input: Tensor, normalized_shape: Any, *others: Any, **options: Any) -> Tensor:
    return input.amin(dim=tuple(range(-len(normalized_shape), 0)), keepdim=True).expand_as(input).clone()


def _reduce(input: Tensor, dim: Any = None, keepdim: bool = False, *others: Any, **options: Any) -> Tensor:
    dims = options.get("axis", dim)
    dims = tuple(range(1, input.dim())) if dims is None else dims
    return input.amin(dim=dims, keepdim=keepdim)


def _pad(input: Tensor, pad: Any, mode: str = "constant", value: Any = None) -> Tensor:
    return functional.pad(input, pad, mode, torch.inf if mode == "constant" else None)


def _interpolate(input: Tensor, *args: Any, **options: Any) -> Tensor:
    """Nearest: as it is. Others mix neighbours: the least within one position of the nearest."""
    mode = options.get("mode", args[2] if len(args) > 2 else "nearest")
    size = functional.interpolate(input, *args, **options).shape[2:]
    around = input if mode.startswith("nearest") else _least_pool(input, 3, 1, 1)
    return functional.interpolate(around, size, mode="nearest")


RULES: dict[str, Rule] = {
    "conv2d": _conv2d,
    "max_pool2d": _pool,
    "avg_pool2d": _average_pool,
    "adaptive_avg_pool2d": _adaptive,
    "adaptive_max_pool2d": _adaptive,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "mean": _reduce,
    "sum": _reduce,
    "pad": _pad,
    "interpolate": _interpolate,
}
