"""A GPU for machines without one: tensors that say they are on `cuda:0` and keep their values on the CPU.

    with pretend_cuda.device() as gpu:
        net = nets.to_device(net, "cuda")
        ...
    assert gpu.operations > 0

With TEST_ON_GPU in the environment nothing is pretended: it is the GPU that is there.

As on a GPU: an operation that mixes CPU and CUDA tensors raises, so does `.numpy()` of a CUDA tensor; CUDA's lists of autocast decide
about types; the fused optimiser refuses gradients and velocities whose type or strides are not those of the weights. Not as on a
GPU: the kernels (values and their bits are the CPU's, so that a test can compare both sides), and streams, which do their work at
once (helpers/lazy_cuda.py is about their order).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.overrides import handle_torch_function
from torch.utils._pytree import tree_leaves, tree_map_only

from zfrepro.core import staging


@dataclass
class Gpu:
    """`rtol`, `atol`: how far its numbers may be from a CPU's."""

    device: torch.device
    rtol: float = 1e-4
    atol: float = 1e-5
    operations: int = 0  # functions of torch called with its tensors since it was last pretended


GPU = Gpu(torch.device("cuda", 0))
REAL = "TEST_ON_GPU" in os.environ
FACTORIES = ("arange", "as_tensor", "empty", "eye", "full", "linspace", "ones", "rand", "randn", "tensor", "zeros")
ANSWERS = {  # of torch.cuda
    "device_count": 1,
    "get_device_capability": (9, 0),
    "get_device_name": "Pretended GPU",
    "is_available": True,
    "is_bf16_supported": True,
    "stream": nullcontext(),
    "synchronize": None,
}
aten = torch.ops.aten
WHOLE = (
    torch.nn.functional.one_hot,
)  # C++ makes a tensor in it, on the device that it believes in; it has no gradient
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default)

# What CUDA's autocast computes in the lower type, in float32 and in the widest type of its arguments: as much of torch's list as is
# used here; another function of the list raises.
LOWER = {"addmm", "baddbmm", "bmm", "conv2d", "conv_transpose2d", "einsum", "linear", "matmul", "mm"}
SINGLE = {
    "cross_entropy",
    "cumsum",
    "exp",
    "log",
    "log_softmax",
    "nll_loss",
    "norm",
    "pow",
    "prod",
    "rsqrt",
    "softmax",
    "sum",
}
WIDEST = {"addcdiv", "addcmul", "grid_sampler", "index_put", "scatter_add"}
LISTED = {
    name.removeprefix("aten::").partition(".")[0]
    for name in torch._C._dispatch_get_registrations_for_dispatch_key("AutocastCUDA")
}


class CudaTensor(torch.Tensor):
    """C++ takes it for a CPU tensor (torch built for CPUs accepts no other), Python and autocast for a CUDA tensor."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> CudaTensor:
        assert not isinstance(values, CudaTensor)
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            values.shape,
            values.stride(),
            values.storage_offset(),
            dtype=values.dtype,
        )
        tensor.values = values
        return tensor

    device = property(lambda self: GPU.device)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def numpy(self, **options: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")

    def __array__(self, dtype: Any = None) -> Any:
        return self.numpy()

    def tolist(self) -> Any:
        return self.values.tolist()

    def new_tensor(self, data: Any, **options: Any) -> torch.Tensor:
        return torch.tensor(data, **{"dtype": self.dtype, "device": self.device, **options})

    def cpu(self) -> torch.Tensor:
        return self.to("cpu")

    def __reduce_ex__(self, protocol: Any) -> Any:
        """torch.load(..., map_location="cpu") gives a CPU tensor."""
        return self.values.__reduce_ex__(protocol)

    def __repr__(self, **options: Any) -> str:
        return f"CudaTensor({self.values})"

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The function, after autocast."""
        GPU.operations += 1
        with torch._C.DisableTorchFunctionSubclass():
            if function in WHOLE:
                return CudaTensor(
                    function(*tree_map_only(CudaTensor, lambda tensor: tensor.values, args), **(kwargs or {}))
                )
            if torch.is_autocast_enabled("cuda"):
                args, kwargs = _cast(function.__name__, (args, kwargs or {}))
            return function(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operation on the values, as CUDA tensors; what it writes to stays the tensor that it was."""
        arguments = (args, kwargs or {})
        _require_one_device(operation, args, arguments)
        if operation is aten._fused_sgd_.default:
            _require_same_layout(*args[:3])
        own = {id(tensor.values): tensor for tensor in tree_leaves(arguments) if isinstance(tensor, CudaTensor)}
        plain, named = tree_map_only(CudaTensor, lambda tensor: tensor.values, arguments)
        written = [plain[0]] if operation is aten.copy_.default else []  # of another device perhaps
        result = operation(*plain, **named)

        def wrap(tensor: torch.Tensor) -> torch.Tensor:
            if id(tensor) in own:
                return own[id(tensor)]
            if any(tensor is other for other in written):
                return tensor
            with torch.inference_mode(False):  # a view of a tensor from outside is none of inference mode
                return CudaTensor(tensor)

        return tree_map_only(torch.Tensor, wrap, result)


def _cast(name: str, arguments: Any) -> Any:
    """Arguments in the type in which CUDA's autocast computes a function."""
    name = name[2:-2] if name.startswith("__") else {"grid_sample": "grid_sampler"}.get(name, name)
    dtypes = [leaf.dtype for leaf in tree_leaves(arguments) if _is_castable(leaf)]
    if name in LOWER:
        return _cast_all(arguments, torch.get_autocast_dtype("cuda"))
    if name in SINGLE or (name in WIDEST and torch.float32 in dtypes):
        return _cast_all(arguments, torch.float32)
    assert name in WIDEST or name not in LISTED, f"{name} is on torch's list for autocast, but in no list here"
    return arguments


def _is_castable(leaf: Any) -> bool:
    return isinstance(leaf, CudaTensor) and leaf.is_floating_point() and leaf.dtype != torch.float64


def _cast_all(arguments: Any, dtype: torch.dtype) -> Any:
    return tree_map_only(CudaTensor, lambda tensor: tensor.to(dtype) if _is_castable(tensor) else tensor, arguments)


def _require_one_device(operation: Any, args: Any, arguments: Any) -> None:
    """Tensors of one device; a CPU tensor of one number counts as a number, CPU indices are allowed, so are copies."""
    if operation is aten.copy_.default:
        return
    tensors = tree_leaves((args[0], args[2:])) if operation in INDEXING else tree_leaves(arguments)
    tensors = [tensor for tensor in tensors if isinstance(tensor, torch.Tensor)]
    on_cuda = {
        isinstance(tensor, CudaTensor) for tensor in tensors if tensor.dim() > 0 or isinstance(tensor, CudaTensor)
    }
    if len(on_cuda) > 1:
        raise RuntimeError(f"Expected all tensors to be on the same device, but {operation} got cuda:0 and cpu")
    if (
        operation in INDEXING
        and not isinstance(args[0], CudaTensor)
        and any(isinstance(index, CudaTensor) for index in args[1])
    ):
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")


def _require_same_layout(*groups: list[torch.Tensor]) -> None:
    """What torch's fused kernels ask of a weight, its gradient and its velocity (check_fast_path_restrictions)."""
    for tensors in zip(*filter(None, groups), strict=True):
        layouts = {(tensor.dtype, *_strides(tensor), isinstance(tensor, CudaTensor)) for tensor in tensors}
        if len(layouts) > 1:
            raise RuntimeError(
                f"params, grads and momentum_buffer_list must have same dtype, device, and layout: {layouts}"
            )


def _strides(tensor: torch.Tensor) -> list[int]:
    """Where there is more than one position."""
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


@contextmanager
def device() -> Iterator[Gpu]:
    """torch finds one GPU, in every thread, and computes on it as above."""
    if REAL:
        yield Gpu(torch.device("cuda", 0), rtol=1e-2, atol=1e-3, operations=1)
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in FACTORIES:
            patch.setattr(torch, name, _on_device(getattr(torch, name)))
        for name in ("empty_like", "full_like", "ones_like", "zeros_like"):
            patch.setattr(torch, name, _like(getattr(torch, name)))
        patch.setattr(torch.Tensor, "to", _to)
        patch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
        for name, value in ANSWERS.items():
            patch.setattr(torch.cuda, name, _constant(value))
        patch.setattr(torch.cuda, "Event", _Stream)
        patch.setattr(torch.cuda, "Stream", _Stream)
        patch.setattr(torch.cuda, "current_stream", _Stream)
        patch.setattr(staging, "_copy_stream", _Stream)  # else kept for good
        patch.setattr(torch.__future__, "_overwrite_module_params_on_conversion", True)
        GPU.operations = 0
        yield GPU


class _Stream:
    """A stream, or an event of one, whose work is done at once."""

    def __init__(self, *arguments: Any, **options: Any):
        pass

    def __getattr__(self, name: str) -> Callable[..., None]:
        return _constant(None)


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *arguments, **options: value


def _is_cuda(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _on_device(factory: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A factory whose option `device` may name the GPU."""

    def make(*arguments: Any, device: Any = None, pin_memory: bool = False, **options: Any) -> torch.Tensor:
        if arguments and isinstance(arguments[0], torch.Tensor):  # as_tensor of one
            return _to(arguments[0], device, **options)
        if not _is_cuda(device):
            return factory(*arguments, **options, **({} if device is None else {"device": device}))
        return CudaTensor(factory(*arguments, **options))

    return make


def _like(factory: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A factory of tensors like another, perhaps on another device."""

    def make(
        tensor: torch.Tensor, *arguments: Any, device: Any = None, pin_memory: bool = False, **options: Any
    ) -> Any:
        made = factory(tensor.values if isinstance(tensor, CudaTensor) else tensor, *arguments, **options)
        there = isinstance(tensor, CudaTensor) if device is None else _is_cuda(device)
        return CudaTensor(made) if there else made

    return make


def _to(tensor: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
    """Tensor.to with a device, a type or another tensor first, or options alone."""
    if torch._C._len_torch_function_stack():
        return handle_torch_function(torch.Tensor.to, (tensor,), tensor, *arguments, **options)
    convert = torch._C.TensorBase.to
    with torch._C.DisableTorchFunctionSubclass():
        if arguments and isinstance(arguments[0], torch.Tensor):
            arguments = (arguments[0].device, arguments[0].dtype, *arguments[1:])
        if arguments and not isinstance(arguments[0], torch.dtype):
            options["device"], *arguments = arguments
        target = options.pop("device", None)
        here, there = isinstance(tensor, CudaTensor), _is_cuda(target) if target is not None else None
        if there is None or there == here:
            return convert(tensor, "cpu", *arguments, **options)
        assert not (tensor.requires_grad and torch.is_grad_enabled()), "a copy to another device has no gradient here"
        values = tensor.values if isinstance(tensor, CudaTensor) else tensor.detach()
        values = convert(values, "cpu", *arguments, **{**options, "copy": True})
        return CudaTensor(values) if there else values


_to.__name__ = "to"  # by which modes of torch's functions know it
