"""A published report as an RO-Crate of a workflow's run: what was run, on what, with which results and versions.

Profile: https://w3id.org/ro/wfrun/workflow/0.5, which builds on RO-Crate 1.1 and Workflow RO-Crate 1.0.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from zfrepro.errors import UserError
from zfrepro.site import checksums
from zfrepro.storage import artifacts

NAME = "ro-crate-metadata.json"
WORKFLOW, SETTINGS, PAGE = "Snakefile", "config.yaml", "index.html"
LICENCE = "https://spdx.org/licenses/MIT"
PAPER = "https://arxiv.org/abs/1311.2901"
PROFILES = (  # address, name, version
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
)
SUFFIXES = {".csv": "text/csv", ".tex": "application/x-tex", ".json": "application/json", ".yaml": "application/yaml"}
KINDS = {
    "made": str,
    "versions": dict,
    "hardware": dict,
    "config": dict,
    "data": dict,
    "time": dict,
}  # of provenance.json
GENERATED = ("scenes", "scenes_voc2012")  # data sets whose images this program draws itself


def write(folder: Path, title: str, origin: Mapping[str, Any]) -> None:
    """`folder`: a report with the workflow and its settings; `origin`: its provenance."""
    artifacts.save_json(folder / NAME, _crate(folder, title, origin).metadata.generate())


def origin(report: Path) -> dict[str, Any]:
    """A report's provenance.json, its moment to the second. Raises UserError naming the missing keys."""
    path = report / "provenance.json"
    content = artifacts.load_json(path)
    content = content if isinstance(content, dict) else {}
    missing = [key for key, kind in KINDS.items() if not isinstance(content.get(key), kind)]
    if missing:
        raise UserError(
            f"{path}: not a report's provenance: {', '.join(missing)} missing; delete the file and run again"
        )
    try:
        moment = datetime.fromisoformat(content["made"]).replace(microsecond=0)
    except ValueError as error:
        raise UserError(f"{path}: made: {error}; delete the file and run again") from error
    return {**content, "made": moment.isoformat()}


def _crate(folder: Path, title: str, origin: Mapping[str, Any]) -> Any:
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms["sha256"] = "https://schema.org/sha256"
    _describe(crate, title, origin)
    files = {name: crate.add_file(folder / name, name, properties=_file(folder / name)) for name in _results(folder)}
    workflow = _workflow(crate, folder, origin)
    settings = crate.add_file(folder / SETTINGS, SETTINGS, properties=_file(folder / SETTINGS))
    inputs = [settings, *(_data(crate, name, manifest) for name, manifest in origin["data"].items())]
    _parameters(crate, workflow, settings, files[PAGE])
    _run(crate, workflow, inputs, list(files.values()), origin)
    return crate


def _results(folder: Path) -> list[str]:
    return [name for name in checksums.files(folder) if name not in (NAME, WORKFLOW, SETTINGS)]


def _describe(crate: Any, title: str, origin: Mapping[str, Any]) -> None:
    """The crate itself: name, date, maker, licence, profiles, the paper."""
    root = crate.root_dataset
    makers = _add(crate, "#developers", "Organization", name="the developers of zfrepro")
    profiles = [_add(crate, address, "CreativeWork", name=name, version=version) for address, name, version in PROFILES]
    root["name"], root["description"] = title, " ".join(_description(origin))
    root["datePublished"], root["author"], root["publisher"] = origin["made"], makers, makers
    root["license"] = _add(crate, LICENCE, "CreativeWork", name="MIT License", identifier="MIT")
    root["conformsTo"] = profiles
    authors = [
        _add(crate, f"#{family}", "Person", name=f"{first_name} {family}", givenName=first_name, familyName=family)
        for first_name, family in (("Matthew D.", "Zeiler"), ("Rob", "Fergus"))
    ]
    root["citation"] = _add(
        crate, PAPER, "ScholarlyArticle", name="Visualizing and Understanding Convolutional Networks", author=authors,
        datePublished="2013", url=PAPER,
    )  # fmt: skip


def _description(origin: Mapping[str, Any]) -> Iterator[str]:
    yield "Report of an experiment that reproduces the tables, figures and claims of Zeiler and Fergus (2013), arXiv 1311.2901."
    foreign = sorted({manifest["dataset"] for manifest in origin["data"].values()} - set(GENERATED))
    if foreign:
        yield f"The licence covers the program and the report; images of {', '.join(foreign)} remain under their owners' terms."


def _workflow(crate: Any, folder: Path, origin: Mapping[str, Any]) -> Any:
    commit = (origin.get("git") or {}).get("commit")
    properties = {**_file(folder / WORKFLOW), "name": "zfrepro", "license": {"@id": LICENCE}}
    properties |= {"version": commit} if commit else {}
    properties["description"] = (
        "From images to report. The rules it includes are in the program's folder workflow/rules."
    )
    versions = origin["versions"]
    workflow = crate.add_workflow(
        folder / WORKFLOW,
        WORKFLOW,
        main=True,
        lang="snakemake",
        lang_version=versions.get("snakemake"),
        properties=properties,
    )
    workflow["softwareRequirements"] = [
        _add(crate, f"#software-{name}", "SoftwareApplication", name=name, version=version)
        for name, version in versions.items()
    ]
    workflow["conformsTo"] = {"@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"}
    workflow["author"] = crate.get("#developers")
    return workflow


def _data(crate: Any, name: str, manifest: Mapping[str, Any]) -> Any:
    """A data set as prepared: too large to be included, but identified by the digests of its arrays."""
    digests = [
        _add(
            crate, f"#data-{name}-{file}", "PropertyValue", name=f"sha256 of {file}", propertyID="sha256", value=digest
        )
        for file, digest in sorted(manifest["sha256"].items())
    ]
    images = max((end for _, end in manifest["splits"].values()), default=0)
    text = f"{images} images of {len(manifest['classes'])} classes, stored at {manifest['size']} pixels"
    return _add(
        crate, f"#data-{name}", "CreativeWork", name=f"{name}: {manifest['dataset']}", description=text, identifier=digests
    )  # fmt: skip


def _parameters(crate: Any, workflow: Any, settings: Any, page: Any) -> None:
    """The workflow's inputs and outputs, with this run's files as examples."""
    for key, name, file, text in (
        ("input", "experiment", settings, "The experiment file: every setting of every stage"),
        ("output", "report", page, "The report, one self-contained page"),
    ):
        formal = _add(
            crate, f"#parameter-{name}", "FormalParameter", name=name, description=text, additionalType="File",
            encodingFormat=file["encodingFormat"], valueRequired=key == "input", workExample=file,
            conformsTo={"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
        )  # fmt: skip
        file["exampleOfWork"] = formal
        workflow[key] = formal


def _run(crate: Any, workflow: Any, inputs: list[Any], outputs: list[Any], origin: Mapping[str, Any]) -> None:
    machine = origin["hardware"]
    hardware = [machine["cpu"], f"{machine['cores']} cores", f"{machine['memory_gib']} GiB memory", *machine["gpus"]]
    busy = sum(stage["seconds"] for stage in origin["time"].values())
    action = _add(
        crate, "#run", "CreateAction", name=f"Run of {WORKFLOW}", endTime=origin["made"], instrument=workflow,
        object=inputs, result=outputs, agent=crate.get("#developers"),
        actionStatus="http://schema.org/CompletedActionStatus",
        description=f"Report made on {', '.join(map(str, hardware))}; the jobs took {busy:.0f} seconds in all.",
    )  # fmt: skip
    crate.root_dataset["mentions"] = action


def _file(path: Path) -> dict[str, str]:
    """Name, size in bytes, type and digest of a file."""
    kind = SUFFIXES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    return {
        "name": path.name, "contentSize": str(path.stat().st_size), "encodingFormat": kind,
        "sha256": artifacts.sha256(path),
    }  # fmt: skip


def _add(crate: Any, identifier: str, kind: str, /, **properties: Any) -> Any:
    from rocrate.model.contextentity import ContextEntity

    entity = crate.add(ContextEntity(crate, identifier, {"@type": kind}))
    for key, value in properties.items():
        entity[key] = value
    return entity
