"""The paper's analyses for any network: tensors in, tensors out.

    project            activations projected back to pixels, the deconvnet                       section 2.1, Figs 1 and 2
    top_activations    the images and patches with a map's highest activations                   section 4, Fig 2
    occlusion_maps     what a network makes of an image when a square covers part of it          section 4.2, Fig 7
    invariance         how far features move when images are shifted, scaled and rotated         section 4, Fig 5
    correspondence     whether covering the same part changes different images alike             section 4.3, Table 1
    grad_cam           the parts that speak for a class, by gradients    not in the paper; for comparison
    plot_...           a matplotlib figure of each but the last
    choose_layers      layers worth showing, the last rectified at each resolution
    open_network       check a network once, for many calls

Every function takes an `nn.Module` in evaluation mode, works on the device and in the precision of its weights, and leaves it as it was:
mode, hooks, gradients, buffers. A layer is named as in `model.named_modules()`: "features.3", "layer2.0.relu"; of a module that runs
several times in a forward pass the last result is meant, "layer2.0.relu:1" is the first. Bad input is a ValueError that says what to do;
numbers that overflow are a NotFiniteError (a FloatingPointError). The experiment's stages and `zfrepro look` use the same functions or
those of `zfrepro.core` below them.
"""

from zfrepro.analysis.checks import Network, open_network
from zfrepro.analysis.curves import InvarianceCurve, invariance
from zfrepro.analysis.gradcam import grad_cam
from zfrepro.analysis.layer_choice import LayerChoice, choose_layers
from zfrepro.analysis.occlusion import OcclusionMaps, occlusion_maps
from zfrepro.analysis.plots import (
    plot_correspondence,
    plot_invariance,
    plot_occlusion,
    plot_projection,
    plot_top_activations,
)
from zfrepro.analysis.projection import Projection, project
from zfrepro.analysis.sign_changes import SignComparison, correspondence
from zfrepro.analysis.strongest import TopPatches, top_activations
from zfrepro.core.finite import NotFiniteError

__all__ = [
    "InvarianceCurve",
    "LayerChoice",
    "Network",
    "NotFiniteError",
    "OcclusionMaps",
    "Projection",
    "SignComparison",
    "TopPatches",
    "choose_layers",
    "correspondence",
    "grad_cam",
    "invariance",
    "occlusion_maps",
    "open_network",
    "plot_correspondence",
    "plot_invariance",
    "plot_occlusion",
    "plot_projection",
    "plot_top_activations",
    "project",
    "top_activations",
]
