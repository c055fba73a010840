"""Move a grey square over images and record the network's prediction at every position (Fig 7)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts
from zfrepro.storage.diverged import explain_diverged_network
from zfrepro.storage.not_measured import NotMeasurable, records_not_measurable

if TYPE_CHECKING:
    import torch

    from zfrepro.core.occlusion import FullPasses, Occluder, Prediction
    from zfrepro.core.top_activations import TopActivations
    from zfrepro.models.trained_network import NetworkOnSplit

COMPANIONS = 3  # other images whose projections are shown, panel (c)
TOP = 5  # classes whose probabilities are recorded at every position


class Spec(Base):
    square: int = Field(
        50, ge=1, description="side of the square in pixels of the network's input; the paper: 50 at 224"
    )
    stride: int = Field(6, ge=1, description="step of the square in pixels; the paper: 6")
    grey: int = Field(
        124, ge=0, le=255, description="value of all three channels of the square; measured in the paper's Fig 7"
    )
    layer: int = Field(5, ge=1, description="layer whose map with the highest activation is recorded; the paper: 5")
    pictures: int | tuple[int, ...] = Field(
        3, description="number of images, or their positions in the split; the paper: 3"
    )
    split: str = Field("val", description="split to take images from; the paper: test")
    seed: int = Field(0, ge=0, description="selects the images")
    scored: int = Field(
        300,
        ge=0,
        description="correctly classified images whose maps are compared with the object's box, if some positions of the square touch the "
        "box and some do not; all if there are fewer",
    )
    score_stride: int = Field(18, ge=1, description="step in pixels for the scored maps")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="precision of the maps; bfloat16 is faster, with about two correct digits"
    )
    batch: int = Field(64, ge=1, description="images or positions per forward pass")


@dataclass(frozen=True)
class Survey:
    """What the network says of the whole split, uncovered."""

    probabilities: np.ndarray  # float32 (N, classes)
    labels: np.ndarray  # int64 (N,), true
    strongest: TopActivations  # COMPANIONS + 1 images per map of the watched layer

    @property
    def of_true(self) -> np.ndarray:
        return self.probabilities[np.arange(len(self.labels)), self.labels]

    @property
    def correct(self) -> np.ndarray:
        return self.probabilities.argmax(axis=1) == self.labels


@records_not_measurable("occlusion.npz", "scores.npz", "occlusion.json")
@explain_diverged_network
def run(spec: Spec, weights: Path, images: Path, out: Path, device: str = "auto", threads: int = 1) -> None:
    """Write out/occlusion.npz (maps over positions, projections), out/scores.npz (one number per scored image) and
    out/occlusion.json (their description)."""
    from zfrepro.models.trained_network import NetworkOnSplit

    network = NetworkOnSplit(weights, images, spec.split, device, threads)
    _check(spec, network)
    name = network.relu_of(spec.layer)
    survey = _survey(spec, network, name)
    indices = choose_images(survey.of_true, survey.correct, survey.labels, spec.pictures, spec.seed)
    occluder = _occluder(spec, network, name, spec.stride, weights)
    rows = [_occlude(network, occluder, survey, index) for index in indices.tolist()]
    arrays = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    candidates = _candidates(spec, network, survey)
    scores = _scores(spec, network, survey, candidates, _occluder(spec, network, name, spec.score_stride, weights))
    artifacts.save_arrays(out / "occlusion.npz", pictures=indices, **arrays)
    artifacts.save_arrays(out / "scores.npz", **scores)
    artifacts.save_json(out / "occlusion.json", _summary(spec, network, survey, indices, arrays, candidates))


def choose_images(
    of_true: np.ndarray, correct: np.ndarray, labels: np.ndarray, pictures: int | tuple[int, ...], seed: int
) -> np.ndarray:
    """int64: images of different classes drawn among the surer half of the correctly classified.

    Where those are too few, the remaining images with the highest probability of the true class follow.
    """
    if not isinstance(pictures, int):
        return np.array(pictures, dtype=np.int64)
    sure = correct & (of_true >= np.median(of_true[correct])) if correct.any() else correct
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sure))
    first_of_class = np.sort(np.unique(labels[order], return_index=True)[1])
    chosen = order[first_of_class]
    surest = np.argsort(-of_true, kind="stable")
    return np.concatenate([chosen, surest[~np.isin(surest, chosen)]])[:pictures].astype(np.int64)


def _check(spec: Spec, network: NetworkOnSplit) -> None:
    if spec.square > network.size:
        raise UserError(
            f"occlusion.square: {spec.square} px, but the network's input is {network.size} px; choose a smaller square"
        )
    network.check_classes()
    count, pictures = len(network.images), spec.pictures
    fitting = 1 <= pictures <= count if isinstance(pictures, int) else pictures and set(pictures) <= set(range(count))
    if not fitting:
        raise NotMeasurable(
            f"occlusion.pictures is {pictures}, but split {spec.split} has {count} images, counted from 0"
        )
    if count < COMPANIONS + 1:
        raise NotMeasurable(f"split {spec.split} has {count} images; the map's projections need {COMPANIONS + 1}")


def _survey(spec: Spec, network: NetworkOnSplit, name: str) -> Survey:
    from zfrepro.core.occlusion import survey

    probabilities, strongest = survey(network.net, network.batches(spec.batch), name, COMPANIONS + 1)
    return Survey(probabilities.cpu().numpy(), network.set.labels(spec.split), strongest)


@dataclass(frozen=True)
class Candidates:
    """Images that can be scored, as positions in the split."""

    with_box: np.ndarray  # int64: correctly classified, their object's box is known
    with_room: np.ndarray  # int64: of these, where the square has positions on the object and beside it


def _candidates(spec: Spec, network: NetworkOnSplit, survey: Survey) -> Candidates:
    from zfrepro.core.localisation import leaves_room

    boxes = network.boxes()
    with_box = np.flatnonzero(np.isfinite(boxes).all(axis=1) & survey.correct)
    geometry = (network.size, spec.square, spec.score_stride)
    room = [leaves_room(*geometry, tuple(boxes[index].tolist())) for index in with_box.tolist()]
    return Candidates(with_box, with_box[np.array(room, dtype=bool)])


def _scores(
    spec: Spec, network: NetworkOnSplit, survey: Survey, candidates: Candidates, occluder: _Occluder
) -> dict[str, np.ndarray]:
    """Arrays (M,) over the scored images; M is 0 where there is no candidate."""
    from zfrepro.core.localisation import SCORES

    order = np.random.default_rng([spec.seed, 1]).permutation(candidates.with_room)
    chosen = np.sort(order[: spec.scored])
    rows = [_score(spec, network, occluder, index, int(survey.labels[index])) for index in chosen.tolist()]
    return {"picture": chosen, **{key: np.array([row[key] for row in rows]) for key in SCORES}}


@dataclass(frozen=True)
class _Covered:
    """One image and what the network makes of it, uncovered and with the square at every position; P positions each way."""

    crop: np.ndarray  # uint8 (1, S, S, 3)
    inputs: torch.Tensor  # (1, 3, S, S)
    clean: Prediction
    covered: Prediction
    watched: int  # the map of the watched layer that is strongest uncovered

    def probability(self, label: int) -> np.ndarray:
        """float32 (P, P)"""
        return self.covered.probabilities[..., label].cpu().numpy()

    @property
    def activation(self) -> np.ndarray:
        """float32 (P, P): of the watched map, summed over space."""
        return self.covered.activations[..., self.watched].cpu().numpy()


@dataclass(frozen=True)
class _Occluder:
    """Covers one image after another. Raises UserError where an output or an activation is not finite."""

    network: NetworkOnSplit
    name: str  # of the watched layer
    grey: int
    cover: Occluder | FullPasses
    weights: Path

    def __call__(self, index: int) -> _Covered:
        from zfrepro.core.occlusion import predict

        crop = self.network.crops(np.array([index]))
        inputs, grey = self.network.inputs(crop), self.network.inputs(np.full_like(crop, self.grey))[0]
        clean, covered = predict(self.network.net, inputs, self.name), self.cover(inputs[0], grey)
        for prediction in (clean, covered):
            if not (prediction.probabilities.isfinite().all() and prediction.activations.isfinite().all()):
                raise UserError(
                    f"{self.weights}: outputs for image {index} of split {self.network.split} are not finite; train again at a "
                    "lower rate, or set occlusion.precision to float32"
                )
        return _Covered(crop, inputs, clean, covered, int(clean.activations[0].argmax()))


def _occluder(spec: Spec, network: NetworkOnSplit, name: str, stride: int, weights: Path) -> _Occluder:
    import torch

    from zfrepro.core.occlusion import make_occluder

    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[spec.precision]
    cover = make_occluder(network.net, name, spec.square, stride, spec.batch, dtype)
    return _Occluder(network, name, spec.grey, cover, weights)


def _score(spec: Spec, network: NetworkOnSplit, occluder: _Occluder, index: int, true: int) -> dict[str, float]:
    """One image's numbers; what they are, see core/localisation.py."""
    from zfrepro.core import localisation
    from zfrepro.core.tiles import image_projections, strongest_positions

    covered = occluder(index)
    positions = strongest_positions(network.net, occluder.name, covered.inputs, covered.watched)
    projections = image_projections(network.net, occluder.name, covered.inputs, *positions)
    return localisation.scores(
        covered.probability(true),
        float(covered.clean.probabilities[0, true]),
        covered.activation,
        (projections[0] ** 2).sum(axis=2),
        (covered.covered.probabilities.argmax(dim=-1) == covered.clean.probabilities[0].argmax()).cpu().numpy(),
        tuple(network.boxes()[index].tolist()),
        spec.square,
        spec.score_stride,
    )


def _occlude(network: NetworkOnSplit, occluder: _Occluder, survey: Survey, index: int) -> dict[str, np.ndarray]:
    """Everything about one image; P positions each way, K = 5 classes, or all if there are fewer.

    top_labels and top_probabilities (P, P, K): the most probable classes in order; the same of the uncovered image (K,).
    """
    covered, true = occluder(index), int(survey.labels[index])
    top_labels, top_probabilities = _most_probable(covered.covered)
    clean_labels, clean_probabilities = _most_probable(covered.clean)
    return {
        "inputs": covered.crop[0],
        "true": np.int64(true),
        "probability": covered.probability(true),
        "top_labels": top_labels,
        "top_probabilities": top_probabilities,
        "activation": covered.activation,
        "map": np.int64(covered.watched),
        "clean_probability": covered.clean.probabilities[0, true].cpu().numpy(),
        "clean_top_labels": clean_labels[0],
        "clean_top_probabilities": clean_probabilities[0],
        "clean_activation": covered.clean.activations[0, covered.watched].cpu().numpy(),
        **_companions(network, occluder.name, survey.strongest, index, covered.watched),
    }


def _most_probable(prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
    """int64 and float32 (..., TOP)"""
    from zfrepro.core.ranking import most_probable

    return most_probable(prediction.probabilities.cpu().numpy(), TOP)


def _companions(
    network: NetworkOnSplit, name: str, strongest: TopActivations, index: int, watched: int
) -> dict[str, np.ndarray]:
    """The watched map's projections and patches: this image first, then the three others that drive it hardest."""
    from zfrepro.core.tiles import patch_tiles, projection_tiles, strongest_positions

    others = [other for other in strongest.images[watched].tolist() if other != index][:COMPANIONS]
    indices = np.array([index, *others])
    crops = network.crops(indices)
    inputs = network.inputs(crops)
    maps, positions = strongest_positions(network.net, name, inputs, watched)
    return {
        "projected": indices,
        "projections": projection_tiles(network.net, name, inputs, maps, positions),
        "patches": patch_tiles(network.net, name, crops, positions.cpu()),
    }


def _summary(
    spec: Spec,
    network: NetworkOnSplit,
    survey: Survey,
    indices: np.ndarray,
    arrays: dict[str, np.ndarray],
    candidates: Candidates,
) -> dict[str, Any]:
    classes, files = network.set.classes, network.set.files(spec.split)
    records = [
        {
            "picture": index,
            "file": str(files[index]),
            "true": classes[survey.labels[index]],
            "correct": bool(survey.correct[index]),
            **_box_means(spec, network, index, arrays["probability"][row]),
        }
        for row, index in enumerate(indices.tolist())
    ]
    return {
        "network": network.description.network.model_dump(mode="json"),
        "width": network.description.width,
        "input_size": network.size,
        "classes": classes,
        "positions": arrays["probability"].shape[1],
        **spec.model_dump(mode="json", include={"square", "stride", "score_stride", "grey", "layer", "split", "seed"}),
        "split_pictures": len(survey.labels),
        "split_correct": int(survey.correct.sum()),
        "correct_with_box": len(candidates.with_box),
        "correct_with_room": len(candidates.with_room),
        "pictures": records,
    }


def _box_means(spec: Spec, network: NetworkOnSplit, index: int, probability: np.ndarray) -> dict[str, Any]:
    """The object's box in input pixels, and the true class's mean probability where the square touches it and elsewhere."""
    from zfrepro.core.localisation import touching as touches

    box = tuple(network.boxes()[index].tolist())
    if not np.isfinite(box).all():
        return {"box": None, "touching": None, "elsewhere": None}
    touching = touches(network.size, spec.square, spec.stride, box)
    return {"box": box, "touching": _mean(probability[touching]), "elsewhere": _mean(probability[~touching])}


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None
