"""The whole workflow once on the smoke experiment; then: this edit leads to exactly these rules."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers.workspace import ROOT, Workspace

from zfrepro.experiment import cost, loading
from zfrepro.running.snakemake_log import Job, explain_reason

EXHIBITS = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text())["report"]["exhibits"]
RUNS = {
    "train": ["baseline", "improved", "improved-seed1", "improved-unclipped"],
    "ablate": ["baseline-without-3-4-6-7", "improved-wide"],
}
TARGETS = ["caltech101", "caltech256", "voc2012"]
TRANSFERS = [f"{target} {name}" for target in TARGETS for name in ("baseline", "hog", "improved", "random")]
TRANSFERS.remove("voc2012 baseline")  # no exhibit asks for it
TRANSFERRED = ["fig9_caltech256", "table4_caltech101", "table5_caltech256", "table6_pascal2012", "table7_layers"]
BELOW_TRAINING = {
    **RUNS,
    "evaluate": sorted(RUNS["train"] + RUNS["ablate"]),
    "deconvnet": ["baseline", "improved", "improved-unclipped"],
    "evolution": ["improved"],
    "occlusion": ["improved"],
    "invariance": ["improved"],
    "correspondence": ["improved"],
    "features": TRANSFERS,
    "probes": TRANSFERS,
    "scratch": ["caltech101", "caltech256"],
    "exhibits": sorted(set(EXHIBITS) - {"overlap"}),
    "report": [""],
}


def below(stage, *exhibits):
    """What follows from a change of one stage that looks into a single network."""
    return {stage: ["improved"], "exhibits": list(exhibits), "report": [""]}


FIG7 = below("occlusion", "fig7_occlusion", "occlusion_score")
PROJECTIONS = {
    "deconvnet": BELOW_TRAINING["deconvnet"],
    "evolution": ["improved"],
    "occlusion": ["improved"],
    "exhibits": [
        "fig1_deconvnet", "fig2_features", "fig4_evolution", "fig6_first_layers", "fig7_occlusion", "occlusion_score",
    ],
    "report": [""],
}  # fmt: skip


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """The smoke experiment, run from an empty folder to its report."""
    made = Workspace(tmp_path_factory.mktemp("smoke"), (ROOT / "tests/smoke.yaml").read_text())
    said = made.run()
    assert "report: results/smoke/report/index.html" in said
    return made


def report(workspace, name):
    return workspace.folder / "results/smoke/report" / name


def test_the_report_is_whole(workspace):
    page = report(workspace, "index.html").read_text()
    assert page.rstrip().endswith("</html>")
    assert not re.findall(
        r'(?:src|href)="(?!#|data:|tables/|figures/|report\.pdf|provenance\.json|https://arxiv\.org/)[^"]*"', page
    )
    assert report(workspace, "report.pdf").read_bytes()[:5] == b"%PDF-"
    for exhibit in EXHIBITS:
        assert len(report(workspace, f"tables/{exhibit}.csv").read_text().splitlines()) > 1
        assert report(workspace, f"figures/{exhibit}.png").read_bytes()[1:4] == b"PNG"


def test_provenance_names_data_weights_settings_and_times(workspace):
    told = json.loads(report(workspace, "provenance.json").read_text())
    text = json.dumps(told)
    from zfrepro.storage import artifacts

    weights = workspace.folder / "results/smoke/train/improved/model.safetensors"
    manifest = json.loads((workspace.folder / "results/smoke/prepare/source/manifest.json").read_text())
    assert artifacts.sha256(weights) in text
    assert manifest["sha256"]["images.npy"] in text
    assert told["config"]["experiment"] == "smoke"
    assert {"python", "torch", "snakemake"} <= set(told["versions"])


def test_nothing_is_left_to_do_and_nothing_half_done(workspace):
    assert workspace.planned() == []
    results = workspace.folder / "results"
    left = list(results.rglob("*.tmp")) + list(results.glob("smoke/*/.state/*/*/state*"))
    left = [path.name for path in left if "scratch" not in path.parts]  # there folds are kept, not a state
    assert left == []


def test_plan_says_so(workspace):
    assert "nothing to do" in workspace.call("plan", "--config", "experiment.yaml")[1]


def test_publish_copies_the_report_whole(workspace):
    code, said = workspace.call("publish", "--config", "experiment.yaml")
    assert code == 0, said
    published = workspace.folder / "reports/smoke"
    added = {"Snakefile", "config.yaml", "ro-crate-metadata.json", "SHA256SUMS"}
    made = {path.name for path in report(workspace, ".").iterdir()}
    assert {path.name for path in published.iterdir()} == made | added
    assert {path.name for path in published.parent.iterdir()} == {"smoke", "index.html", "compare.html"}


def test_snakemake_s_own_command_agrees(workspace):
    """What Snakemake printed can be pasted: one job's command by hand gives the same file."""
    log = (workspace.folder / "results/smoke/logs/snakemake.log").read_text()
    command = re.search(r"python -m zfrepro evaluate .*--out results/smoke/evaluate/baseline .*", log)[0]
    made = workspace.folder / "results/smoke/evaluate/baseline/scores.npz"
    by_hand = command.replace("--out results/smoke/evaluate/baseline", "--out by-hand").partition(" > ")[0]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-c", by_hand], cwd=workspace.folder, env={**os.environ, "PATH": path}, check=True)
    assert (workspace.folder / "by-hand/scores.npz").read_bytes() == made.read_bytes()


def replaced(old, new):
    def edit(text):
        assert text.count(old) >= 1, old
        return text.replace(old, new)

    return edit


def appended(code):
    return lambda text: f"{text}\n\n{code}\n"


def in_config(change):
    def edit(text):
        content = yaml.safe_load(text)
        change(content)
        return yaml.safe_dump(content, sort_keys=False)

    return edit


def backwards(value):
    return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


EDITS = {
    "core/occlusion.py": ("zfrepro/core/occlusion.py", appended("EDITED = 1"), FIG7),
    "core/incremental.py": ("zfrepro/core/incremental.py", appended("EDITED = 1"), FIG7),
    "core/deconvnet.py": ("zfrepro/core/deconvnet.py", appended("EDITED = 1"), PROJECTIONS),
    "core/evolution.py": ("zfrepro/core/evolution.py", appended("EDITED = 1"), below("evolution", "fig4_evolution")),
    "core/invariance.py": (
        "zfrepro/core/invariance.py",
        appended("EDITED = 1"),
        below("invariance", "fig5_invariance"),
    ),
    "core/correspondence.py": (
        "zfrepro/core/correspondence.py",
        appended("EDITED = 1"),
        below("correspondence", "fig8_masked_parts", "table1_correspondence"),
    ),
    "core/probes.py": (
        "zfrepro/core/probes.py",
        appended("EDITED = 1"),
        {"probes": TRANSFERS, "exhibits": TRANSFERRED, "report": [""]},
    ),
    "core/hog.py": (
        "zfrepro/core/hog.py",
        appended("EDITED = 1"),
        {"features": TRANSFERS, "probes": TRANSFERS, "exhibits": TRANSFERRED, "report": [""]},
    ),
    "core/overlap.py": (
        "zfrepro/core/overlap.py",
        appended("EDITED = 1"),
        {
            "folds": TARGETS,
            "probes": TRANSFERS,
            "scratch": ["caltech101", "caltech256"],
            "exhibits": [*TRANSFERRED, "overlap"],
            "report": [""],
        },
    ),
    "look": ("zfrepro/look/inspect.py", appended("EDITED = 1"), {}),
    "core/nets.py": ("zfrepro/core/nets.py", appended("EDITED = 1"), BELOW_TRAINING),
    "an exhibit": (
        "zfrepro/exhibits/table3_ablations.py",
        appended("EDITED = 1"),
        {"exhibits": ["table3_ablations"], "report": [""]},
    ),
    "a template": ("zfrepro/report/templates/page.html", appended("<!-- edited -->"), {"report": [""]}),
    "the config of one training run": (
        "experiment.yaml",
        in_config(lambda content: content["train"]["runs"]["improved-seed1"].update(epochs=1)),
        {
            "train": ["improved-seed1"],
            "evaluate": ["improved-seed1"],
            "exhibits": ["table2_imagenet", "table3_ablations", "training_curves"],
            "report": [""],
        },
    ),
    "the occlusion config": (
        "experiment.yaml",
        in_config(lambda content: content["occlusion"].update(stride=12)),
        FIG7,
    ),
    "the invariance config": (
        "experiment.yaml",
        in_config(lambda content: content["invariance"].update(scales=4)),
        below("invariance", "fig5_invariance"),
    ),
    "the correspondence config": (
        "experiment.yaml",
        in_config(lambda content: content["correspondence"].update(draws=3)),
        below("correspondence", "fig8_masked_parts", "table1_correspondence"),
    ),
    "the evolution config": (
        "experiment.yaml",
        in_config(lambda content: content["evolution"].update(maps=1)),
        below("evolution", "fig4_evolution"),
    ),
    "the deconvnet config": (
        "experiment.yaml",
        in_config(lambda content: content["deconvnet"].update(seed=1)),
        {
            "deconvnet": BELOW_TRAINING["deconvnet"],
            "exhibits": ["fig1_deconvnet", "fig2_features", "fig6_first_layers"],
            "report": [""],
        },
    ),
    "the folds of one set": (
        "experiment.yaml",
        in_config(lambda content: content["folds"]["caltech101"].update(seed=1)),
        {
            "folds": ["caltech101"],
            "probes": [name for name in TRANSFERS if name.startswith("caltech101")],
            "scratch": ["caltech101"],
            "exhibits": ["overlap", "table4_caltech101", "table7_layers"],
            "report": [""],
        },
    ),
    "the config of training from scratch": (
        "experiment.yaml",
        in_config(lambda content: content["scratch"].update(steps=3)),
        {
            "scratch": ["caltech101", "caltech256"],
            "exhibits": ["fig9_caltech256", "table4_caltech101", "table5_caltech256"],
            "report": [""],
        },
    ),
    "the title": ("experiment.yaml", in_config(lambda content: content.update(title="Another")), {"report": [""]}),
    "another data set's reader": ("zfrepro/datasets/caltech101.py", appended("EDITED = 1"), {}),
    "this data set's drawing": (
        "zfrepro/datasets/scenes.py",
        appended("EDITED = 1"),
        {
            **BELOW_TRAINING,
            "prepare": ["source", *TARGETS],
            "folds": TARGETS,
            "features": TRANSFERS,
            "probes": TRANSFERS,
            "exhibits": sorted(EXHIBITS),
        },
    ),
    "the command line": ("zfrepro/running/stage_cli.py", appended("EDITED = 1"), {}),
    "a comment": ("zfrepro/core/nets.py", appended("# a comment"), {}),
    "a docstring": (
        "zfrepro/core/nets.py",
        replaced('"""Build the paper\'s networks', '"""Make the paper\'s networks'),
        {},
    ),
    "reordered keys": (
        "experiment.yaml",
        lambda text: yaml.safe_dump(backwards(yaml.safe_load(text)), sort_keys=False),
        {},
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_leads_to_exactly_these_rules(workspace, name):
    file, edit, expected = EDITS[name]
    path = workspace.folder / file
    text = path.read_text()
    path.write_text(edit(text))
    try:
        found = {}
        for job in workspace.planned():
            found.setdefault(job.rule, []).append(job.name)
    finally:
        path.write_text(text)
    expected = {rule: set(names) for rule, names in expected.items()}
    if set(expected) - {"exhibits", "report"}:  # the claims read what all stages measure
        expected["exhibits"].add("claims")
    assert {rule: sorted(names) for rule, names in found.items()} == {
        rule: sorted(names) for rule, names in expected.items()
    }


def test_touching_every_file_leads_to_nothing(workspace):
    for path in workspace.folder.rglob("*"):
        if path.is_file() and "results" not in path.relative_to(workspace.folder).parts:
            os.utime(path)
    assert workspace.planned() == []


def test_the_reasons_are_told(workspace):
    path = workspace.folder / "experiment.yaml"
    text = path.read_text()
    path.write_text(in_config(lambda content: content["train"]["runs"]["improved-seed1"].update(epochs=1))(text))
    try:
        reasons = {job.label: explain_reason(job) for job in workspace.planned()}
        code, said = workspace.call("plan", "--config", "experiment.yaml")
    finally:
        path.write_text(text)
    assert reasons["train improved-seed1"] == "its settings changed (epochs)"
    assert reasons["evaluate improved-seed1"] == "its inputs will be rebuilt"
    assert code == 0
    assert re.search(r"^train +1 of 4 +improved-seed1: its settings changed \(epochs\)$", said, re.M)


def test_what_a_plan_counts_is_what_a_run_wrote(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    config = loading.load(Path("experiment.yaml"))
    results = config.results()
    written = {
        kind: sorted(results.glob(f"{kind}/**/{pattern}.npy"))
        for kind, pattern in (("prepare", "images"), ("features", "layer*"))
    }
    rows = {kind: sum(np.load(path, mmap_mode="r").nbytes for path in paths) for kind, paths in written.items()}
    jobs = [Job("prepare", fields={"wildcards": f"set={path.parent.name}"}) for path in written["prepare"]]
    folders = {path.parent for path in written["features"]}
    jobs += [Job("features", fields={"wildcards": f"set={one.parent.name}, features={one.name}"}) for one in folders]
    assert len(folders) > 2
    assert cost.estimate_cost(config, jobs).bytes == {
        "prepared images": rows["prepare"],
        "features": rows["features"],
    }


def test_training_that_was_paid_for_is_taken_as_it_was(workspace):
    """A network whose files are lost is not trained again while settings, code and data are the same."""
    weights = workspace.folder / "results/smoke/train/improved-seed1/model.safetensors"
    before = weights.read_bytes()
    weights.unlink()
    command = [
        "--configfile",
        "experiment.yaml",
        "--cores",
        "1",
        "--",
        str(weights.relative_to(workspace.folder)),
    ]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(
        [sys.executable, "-m", "snakemake", *command],
        cwd=workspace.folder,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert weights.read_bytes() == before
    assert "trained before" in (workspace.folder / "results/smoke/logs/train/improved-seed1.log").read_text()
