"""The rerun table: an edit -> exactly the jobs of the smoke experiment that run again, and exactly those that compute again."""

import ast
import re

import yaml
from helpers.workspace import ROOT

SMOKE = (ROOT / "tests/smoke.yaml").read_text()
EXHIBITS = yaml.safe_load(SMOKE)["report"]["exhibits"]
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


def replaced(old, new):
    def edit(text):
        assert text.count(old) >= 1, old
        return text.replace(old, new)

    return edit


def recoloured(text):
    """Another colour for the first that is written out."""
    new, count = re.subn(r'"#[0-9a-f]{6}"', '"#123456"', text, count=1)
    assert count
    return new


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


def changing(function):
    """A statement more in a function: what it returns stays the same, but that is for the machine to find out."""

    def edit(text):
        (node,) = (node for node in ast.walk(ast.parse(text)) if getattr(node, "name", "") == function)
        lines, last = text.splitlines(keepends=True), node.body[-1]
        lines.insert(last.lineno - 1, " " * last.col_offset + "0 + 0\n")
        return "".join(lines)

    return edit


def without(function):
    """The text of a module without one of its functions, which another now has."""

    def edit(text):
        (node,) = (node for node in ast.parse(text).body if getattr(node, "name", "") == function)
        lines = text.splitlines(keepends=True)
        moved = f"from zfrepro.core.occlusion import {function}\n"
        return "".join([*lines[: node.lineno - 1], *lines[node.end_lineno :], moved])

    return edit


def with_moved(file, function):
    """A module with a function of another as well."""
    text = (ROOT / file).read_text()
    (node,) = (node for node in ast.parse(text).body if getattr(node, "name", "") == function)
    return appended(ast.get_source_segment(text, node))


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
    "a colour in Fig 7": (
        "zfrepro/exhibits/fig7_occlusion.py",
        recoloured,
        {"exhibits": ["fig7_occlusion"], "report": [""]},
    ),
    "a colour of all figures": (
        "zfrepro/exhibits/kit/draw.py",
        recoloured,
        {"exhibits": sorted(set(EXHIBITS) - {"claims"}), "report": [""]},
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

OF_NETWORKS = [name for name in TRANSFERS if not name.endswith("hog")]
BELOW_NETWORKS = {**BELOW_TRAINING, "features": OF_NETWORKS, "probes": OF_NETWORKS}
ALL_STAGES = {**BELOW_TRAINING, "prepare": ["source", *TARGETS], "folds": TARGETS, "exhibits": sorted(EXHIBITS)}
# Edits of which the second column differs from the first: jobs that run again, jobs that compute again. The report always does.
STORED_EDITS = {
    "a log line in training": (
        {
            "zfrepro/stages/train.py": replaced(
                "        training = _training(", '        print("training")\n        training = _training('
            )
        },
        BELOW_NETWORKS,
        {},
    ),
    "a function more in errors.py": ({"zfrepro/errors.py": appended("def explain():\n    return 1")}, ALL_STAGES, {}),
    "an error message": (
        {
            "zfrepro/stages/occlusion.py": replaced(
                'raise UserError(\n            f"', 'raise UserError(\n            f"Sorry: '
            )
        },
        FIG7,
        {},
    ),
    "a constant that nothing uses": ({"zfrepro/core/nets.py": appended("UNUSED = 1")}, BELOW_TRAINING, {}),
    "a helper that moves": (
        {
            "zfrepro/stages/occlusion.py": without("_mean"),
            "zfrepro/core/occlusion.py": with_moved("zfrepro/stages/occlusion.py", "_mean"),
        },
        FIG7,
        {},
    ),
    "how files are written": (
        {"zfrepro/storage/artifacts.py": changing("save_text")},
        ALL_STAGES,
        {},
    ),
    "occlusion itself": ({"zfrepro/core/occlusion.py": changing("corners")}, FIG7, FIG7),
    "the training of networks": (
        {"zfrepro/core/training.py": changing("_step_seed")},
        BELOW_NETWORKS,
        BELOW_NETWORKS,
    ),
    "one exhibit": (
        {"zfrepro/exhibits/table3_ablations.py": changing("build")},
        {"exhibits": ["table3_ablations"], "report": [""]},
        {"exhibits": ["table3_ablations"], "report": [""]},
    ),
}


def expected_jobs(name):
    """Rule -> names of the jobs that the named edit reruns, sorted."""
    return with_claims(EDITS[name][2])


def with_claims(table):
    """The same, sorted, and the claims where they follow."""
    jobs = {rule: set(names) for rule, names in table.items()}
    if set(jobs) - {"exhibits", "report"}:  # the claims read what all stages measure
        jobs["exhibits"].add("claims")
    return {rule: sorted(names) for rule, names in jobs.items()}
