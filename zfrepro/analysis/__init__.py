"""The paper's analyses for any network: tensors in, tensors out.

    from zfrepro.analysis import project, top_activations, occlusion_maps, invariance, correspondence

Every function takes an `nn.Module` in evaluation mode, works on the device and in the precision of its weights, and leaves it as it was:
mode, hooks, gradients, buffers. Bad input is a ValueError that says what to do; numbers that overflow are a NotFiniteError.
"""

from zfrepro.analysis.projection import Projection, project
from zfrepro.core.finite import NotFiniteError

__all__ = ["NotFiniteError", "Projection", "project"]
