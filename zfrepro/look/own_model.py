"""`--model package.module:function`: a network that the user's own code builds, with its weights loaded."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

from zfrepro.errors import UserError
from zfrepro.models import torchvision_import

if TYPE_CHECKING:
    from torch import nn


def build(path: str) -> nn.Module:
    """What the function returns; modules are looked for in the current folder first, as by `python -m`. Raises UserError."""
    from torch import nn

    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise UserError(f"--model {path}: give module:function, for example my_package.networks:resnet")
    function = _function(path, _module(path, module_name), name)
    try:
        model = function()
    except (Exception, SystemExit) as error:
        raise UserError(f"--model {path}: the function raised {_describe(error)}") from error
    if not isinstance(model, nn.Module):
        raise UserError(f"--model {path}: the function returned {type(model).__name__}; return a torch.nn.Module")
    return model


def _module(path: str, name: str) -> Any:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    with contextlib.suppress(ModuleNotFoundError):  # most such modules import torchvision, which may need help
        torchvision_import.ensure()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise UserError(
                f"--model {path}: there is no module {error.name}; start the command in the folder that holds it"
            ) from error
        raise UserError(f"--model {path}: importing {name} raised {_describe(error)}") from error
    except (Exception, SystemExit) as error:
        raise UserError(f"--model {path}: importing {name} raised {_describe(error)}") from error


def _function(path: str, module: Any, name: str) -> Any:
    function = getattr(module, name, None)
    if function is None:
        near = difflib.get_close_matches(name, dir(module), n=3, cutoff=0.5)
        hint = f"; similar names: {', '.join(near)}" if near else ""
        raise UserError(f"--model {path}: {module.__name__} has no {name}{hint}")
    if not callable(function):
        raise UserError(f"--model {path}: {name} is no function but {type(function).__name__}; give one that builds it")
    return function


def _describe(error: BaseException) -> str:
    """Type, first line and place: `ValueError: no such file (networks.py, line 12)`."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}{': ' if text else ''}{text}{place}"
