"""What a plan needs, without data: compared with torch's own counter, sums by hand, and the files that a run writes."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from zfrepro.commands import plan
from zfrepro.core import nets
from zfrepro.core.architecture import Network, describe
from zfrepro.datasets.published import lookup_counts
from zfrepro.experiment import cost, loading
from zfrepro.experiment.throughput import measure
from zfrepro.storage import artifacts, workflow_files

PAPER = workflow_files.ROOT / "workflow/experiments/paper.yaml"
EXPERIMENT = """
experiment: needy
title: Counted
prepare:
  source: {dataset: tiny_imagenet, size: 64, options: {root: nowhere, classes: 10, train_per_class: 100}}
  caltech101: {dataset: caltech101, size: 64, options: {root: nowhere, classes: 20}}
  mine: {dataset: imagefolder, size: 64, options: {root: nowhere}}
train:
  recipe: {width: 0.1, input_size: 64, epochs: 3, batch: 8, init: he}
  runs:
    baseline: {base: baseline}
    improved: {base: improved, snapshots: [1, 2]}
evaluate: {views: [1, 10], train_images: 200}
folds:
  caltech101: {per_class: [5, 10], folds: 4}
features: {runs: [improved], baselines: [random, hog], layers: [1, 7]}
scratch: {sets: {caltech101: [5]}, steps: 30, folds: 3}
report: {exhibits: [table4_caltech101]}
"""


def job(stage, **names):
    return (stage, *names.values())


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("needs") / "needy.yaml"
    path.write_text(EXPERIMENT)
    return loading.load(path)


@pytest.fixture(scope="module")
def improved(config):
    """Operations of one image."""
    return cost.forward_operations(describe(config.training("improved").network, 64, 10, 0.1))


@pytest.mark.parametrize("network", [Network(base="baseline"), Network(base="improved", remove=(3, 4, 7))])
def test_operations_are_those_that_torch_counts(network):
    net = nets.build(network, 112, 20, 0.25)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        net.eval()(torch.zeros(1, 3, 112, 112))
    by_child = {name.rpartition(".")[2]: sum(flops.values()) for name, flops in counter.get_flop_counts().items()}
    counted = sum(flops for name, flops in by_child.items() if name.startswith(("conv", "full")))
    assert cost.forward_operations(describe(network, 112, 20, 0.25)) == counted > 0


def test_operations_of_the_papers_networks_follow_from_their_layers():
    rows = describe(Network(base="improved"))
    by_hand = {
        "conv1": 110**2 * 96 * 3 * 49,
        "conv2": 26**2 * 256 * 96 * 25,
        "full6": 9216 * 4096,
        "full8": 4096 * 1000,
    }
    assert {row.name: cost.forward_operations([row]) for row in rows if row.name in by_hand} == {
        name: 2 * many for name, many in by_hand.items()
    }


def test_images_of_published_sets_are_counted_without_data(config):
    needs = cost.estimate_cost(config, [job("prepare", set=name) for name in config.prepare])
    assert needs.images == {"source": 10 * (100 + 50), "caltech101": round(20 * 8677 / 101), "mine": None}
    thumbnails = 1500 * 16 * 16 * 3 * 4  # of the source alone, float32
    assert needs.bytes == {"prepared images": (1500 + 1718) * 64 * 64 * 3 + thumbnails}
    assert not needs.operations


def test_training_takes_three_passes_per_image_and_one_to_validate(config, improved):
    needs = cost.estimate_cost(config, [job("train", run="improved")])
    assert needs.operations == {"training": 3 * (3 * 1000 + 500) * improved}


def test_evaluation_counts_every_view_and_some_training_images(config, improved):
    needs = cost.estimate_cost(config, [job("evaluate", run="improved")])
    assert needs.operations == {"evaluation": (11 * 500 + 200) * improved}


def test_features_are_half_precision_and_hog_costs_no_operations(config, improved):
    rows = {row.layer: row for row in describe(config.training("improved").network, 64, 10, 0.1)}
    needs = cost.estimate_cost(
        config, [job("features", set="caltech101", features=name) for name in ("improved", "random", "hog")]
    )
    both = rows[1].outputs * rows[1].size ** 2 + 2 * rows[7].outputs
    assert needs.bytes == {"features": 2 * 1718 * (both + 7 * 7 * 36)}
    assert needs.operations == {"features": 2 * 1718 * improved}


def test_training_on_a_target_lasts_the_given_steps(config):
    needs = cost.estimate_cost(config, [job("scratch", set="caltech101")])
    operations = cost.forward_operations(describe(config.training("improved").network, 64, 20, 0.1))
    epochs = 3  # 30 mini-batches of 8 images, 13 to an epoch of 100
    assert needs.operations == {"training from scratch on targets": 3 * 3 * epochs * 100 * operations}


def test_classifiers_are_counted_job_by_job(config):
    names = ("improved", "hog")
    sizes = {name: cost.count_images(config, name) for name in config.prepare}
    amounts = [
        list(cost.job_operations(config, job("probes", set="caltech101", features=name), sizes)) for name in names
    ]
    assert [[purpose for purpose, _ in amount] for amount in amounts] == [[cost.CLASSIFIERS]] * 2
    needs = cost.estimate_cost(config, [job("probes", set="caltech101", features=name) for name in names])
    assert needs.operations == {cost.CLASSIFIERS: amounts[0][0][1] + amounts[1][0][1]}
    rows = {row.layer: row for row in describe(config.training("improved").network, 64, 10, 0.1)}
    both = rows[1].outputs * rows[1].size ** 2 + rows[7].outputs
    assert amounts[0][0][1] > 1718**2 * both  # the inner products of all features


def test_an_empty_plan_needs_nothing(config):
    assert list(plan.format_cost(cost.estimate_cost(config, []))) == []


@pytest.mark.parametrize("dataset", ["scenes", "imagefolder"])
def test_sizes_of_other_sets_are_unknown(dataset):
    assert lookup_counts(dataset, None) is None


@pytest.mark.parametrize(
    ("dataset", "option", "more"), [("caltech101", "background", 467), ("caltech256", "clutter", 827)]
)
def test_an_optional_class_counts_if_its_option_is_set(dataset, option, more):
    without, asked = (lookup_counts(dataset, SimpleNamespace(**{option: flag})) for flag in (False, True))
    assert (asked.classes, asked.images) == (without.classes + 1, without.images + more)
    assert lookup_counts(dataset, SimpleNamespace(**{option: True}, per_class=10)).images == 10 * asked.classes


def test_a_prepared_set_is_counted_from_its_manifest(config, improved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = {"classes": list("abcdefghij"), "splits": {"train": [0, 990], "val": [990, 1480]}}
    artifacts.save_json(tmp_path / config.results() / "prepare/source/manifest.json", manifest)
    needs = cost.estimate_cost(config, [job("train", run="improved")])
    assert needs.operations == {"training": 3 * (3 * 990 + 490) * improved}


@pytest.mark.workflow
def test_the_papers_experiment_is_planned_without_data(tmp_path, monkeypatch, capsys):
    """At one TFLOP/s the hours are the operations, on eight GPUs too: more than an eighth of them, since 17 trainings do not fill eight."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(workflow_files.ROOT))
    plan.main(["--config", str(PAPER), "--tflops", "1", "--gpus", "8"])
    output = capsys.readouterr().out
    assert "needs images: source 1,331,167, caltech101 8,677, caltech256 29,780, voc2012 11,540" in output
    parts = re.findall(r" (\d\.\de\+\d+)", re.search("needs operations: .*", output)[0])
    hours = float(re.search(r"needs hours: ([\d,.]+) at 1 TFLOP/s", output)[1].replace(",", ""))
    assert hours == pytest.approx(sum(map(float, parts)) / 1e12 / 3600, rel=0.05)
    on_eight = re.search(r"on 8 GPUs with 64 cores: ([\d,.]+) hours, ([\d,.]+) GPU hours", output).groups()
    ends, used = (float(number.replace(",", "")) for number in on_eight)
    assert used == pytest.approx(hours, rel=0.01)
    assert hours / 8 < ends < hours / 6


@pytest.mark.parametrize("speed", ["0", "-1", "fast"])
def test_an_invalid_speed_is_refused(speed, capsys):
    with pytest.raises(SystemExit) as stopped:
        plan.main(["--tflops", speed])
    assert stopped.value.code == 2
    assert "--tflops" in capsys.readouterr().err


def test_speed_is_measured_on_random_images(config, monkeypatch):
    monkeypatch.setattr("zfrepro.experiment.throughput.SECONDS", 0.0)
    speed = measure(config, "improved", "cpu")
    assert speed.images_per_second > 0
    rows = describe(config.training("improved").network, 64, 10, 0.1)
    assert speed.operations_per_second == pytest.approx(speed.images_per_second * 3 * cost.forward_operations(rows))


def test_a_plan_prints_how_far_initial_weights_shrink(config):
    """1,000 training images in batches of 8 for 3 epochs at 0.01 throughout: exp(-375 x 0.01 x 5e-4 / 0.1)."""
    (fading,) = cost.estimate_fading(config, config.runs())
    assert fading.runs == ("baseline", "improved")
    assert fading.share == pytest.approx(0.98142, abs=1e-5)
    assert list(plan.format_fading([fading])) == [
        "initial weights shrink to 98 % (weight decay 0.0005): baseline, improved"
    ]
