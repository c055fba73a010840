"""What a job reads is in its key or is refused when damaged; what it wrote is put in place, whole, instead of being computed again."""

import json
import os
import shutil

import pytest
from helpers import small_experiment

from zfrepro.errors import UserError
from zfrepro.graph import out_of
from zfrepro.running import TAKEN, job_key, stored_stage
from zfrepro.stages import folds
from zfrepro.storage import artifacts, code_stamp, result_store
from zfrepro.storage.result_store import ResultStore
from zfrepro.storage.source_code import Kept, Package

CONFIG = small_experiment.config()
JOBS = list(small_experiment.jobs(CONFIG))
NAMES = ["/".join(job) for job in JOBS]
FOLDS = ("folds", "caltech101")


@pytest.fixture(scope="module")
def package():
    return Package(kept=Kept(None))


@pytest.fixture(scope="module")
def copied(small_results, tmp_path_factory):
    """A copy of the results and the store, which a test leaves as it was."""
    folder = tmp_path_factory.mktemp("copied")
    shutil.copytree(small_results, folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def place(copied, monkeypatch):
    monkeypatch.chdir(copied)
    monkeypatch.delenv("ZFREPRO_STORE", raising=False)
    artifacts._sha256.cache_clear()
    return copied


@pytest.fixture
def own(small_results, tmp_path, monkeypatch):
    """A copy for one test."""
    shutil.copytree(small_results, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZFREPRO_STORE", raising=False)
    return tmp_path


def flip(path):
    """Another bit in the middle of a file, or in the digests of a manifest, which does not matter as a whole; its times stay."""
    about, content = path.stat(), bytearray(path.read_bytes())
    place = content.index(b'"images.npy": "') + 20 if path.name == "manifest.json" else len(content) // 2
    content[place] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    artifacts._sha256.cache_clear()


def store_of(place):
    return ResultStore(place / "results/.store")


def empty(place):
    """Of results; what is known of the code stays, since reading it takes a while."""
    for name in ("results", "objects"):
        shutil.rmtree(place / "results/.store" / name)


def bytes_of(path):
    """Name -> content of the files of a folder, without records and states; or of one file."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {
        file.relative_to(path): file.read_bytes()
        for file in files
        if file.is_file() and ".state" not in file.parts and not file.name.endswith(".result.json")
    }


def test_every_stage_is_run_and_reads_something(small_results):
    assert {job[0] for job in JOBS} >= {
        path.stem for path in (small_experiment.Path(folds.__file__).parent).glob("[a-z]*.py")
    } - {"report"}
    opened = json.loads((small_results / "opened.json").read_text())
    assert [job for job, files in opened.items() if not files and not job.startswith("prepare/")] == []
    assert "features/caltech101/improved/layer7.npy" in opened["probes/caltech101/improved"]
    assert "train/improved/model.safetensors" in opened["evaluate/improved"]


@pytest.mark.parametrize("job", JOBS, ids=NAMES)
def test_whatever_a_job_reads_is_in_its_key_or_refused_when_damaged(place, job, package, monkeypatch):
    """A byte of each file is flipped: either the key changes, or the job stops, also without a result in the store."""
    monkeypatch.setenv("ZFREPRO_STORE", str(empty_store(place)))
    results, record = CONFIG.results(), result_store.record_path(job[0], CONFIG.results() / out_of(job))
    key, recorded = small_experiment.keys(CONFIG, package).key(job), record.read_bytes()
    for name in json.loads((place / "opened.json").read_text())["/".join(job)]:
        content, about = (results / name).read_bytes(), (results / name).stat()
        flip(results / name)
        try:
            if changed_key(job, package) == key:
                with pytest.raises(UserError):
                    small_experiment.run(CONFIG, job)
        finally:
            (results / name).write_bytes(content)
            os.utime(results / name, ns=(about.st_atime_ns, about.st_mtime_ns))
            artifacts._sha256.cache_clear()
            record.write_bytes(recorded)


def empty_store(place):
    """But for what is known of the code."""
    (place / "empty").mkdir(exist_ok=True)
    for path in (place / "results/.store").glob("code-*.json"):
        shutil.copy(path, place / "empty")
    return place / "empty"


def changed_key(job, package):
    """None for an input that cannot be read: such a job is neither taken nor stored."""
    try:
        return small_experiment.keys(CONFIG, package).key(job)
    except (OSError, UserError):
        return None


@pytest.mark.parametrize("job", JOBS, ids=NAMES)
def test_all_files_of_a_job_are_stored(place, job):
    entry = store_of(place).entry(small_experiment.record(CONFIG, job)["key"])
    out = CONFIG.results() / out_of(job)
    files = (
        {out.name} if out.is_file() else {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    )
    assert set(entry.files) == files - {".result.json"}
    assert entry.stage == small_experiment.stage_of(job)


def test_another_experiment_takes_all_that_it_has_in_common(own, capsys):
    """The same bytes under another name, also of what knows its place."""
    other = small_experiment.config(experiment="other")
    for job in JOBS:
        small_experiment.run(other, job)
        assert small_experiment.record(other, job)["taken"], job
    out = capsys.readouterr().out
    assert out.count(TAKEN) == len(JOBS)
    assert bytes_of(own / "results/small") == bytes_of(own / "results/other")


@pytest.mark.parametrize("stage", ["exhibits", "evaluate", "folds", "probes"])
def test_what_is_computed_in_another_experiment_has_the_same_bytes(own, monkeypatch, stage):
    """Else one experiment would be served with another's name in its results."""
    (own / "results/small").rename(own / "results/other")
    monkeypatch.setenv("ZFREPRO_STORE", "none")
    other = small_experiment.config(experiment="other")
    for job in [job for job in JOBS if job[0] == stage][:2]:
        out = other.results() / out_of(job)
        before = bytes_of(out)
        small_experiment.run(other, job)
        assert bytes_of(out) == before


def test_features_of_equal_networks_are_told_apart_by_their_names(own):
    """The files of two runs of the same recipe are the same bytes, but each probe names its own."""
    results = own / "results/small"
    shutil.copytree(results / "features/caltech101/improved", results / "features/caltech101/again")
    job = ("probes", "caltech101", "improved")
    words = [word.replace("/improved", "/again") for word in small_experiment.arguments(CONFIG, job)]
    small_experiment.stage_cli.run_stage("probes", small_experiment.module_of(job), words)
    again = artifacts.load_json(results / "probes/caltech101/again.json")
    assert again["features"] == "again"
    assert again == {**artifacts.load_json(results / "probes/caltech101/improved.json"), "features": "again"}


# The folds' job is computed, stored and taken in a blink


def run_folds(capsys=None):
    small_experiment.run(CONFIG, FOLDS)
    return capsys.readouterr().out if capsys else ""


def test_a_damaged_object_is_computed_again(own, capsys):
    key = small_experiment.record(CONFIG, FOLDS)["key"]
    before = bytes_of(own / "results/small/folds/caltech101")
    digest = store_of(own).entry(key).files["folds.npz"]
    flip(store_of(own).object_path(digest))
    shutil.rmtree(own / "results/small/folds")
    assert TAKEN not in run_folds(capsys)
    assert bytes_of(own / "results/small/folds/caltech101") == before
    assert small_experiment.record(CONFIG, FOLDS) | {"seconds": 0} == {"key": key, "taken": False, "seconds": 0}
    assert TAKEN in run_folds(capsys)


def test_a_result_that_is_edited_in_place_does_not_come_back(own, capsys):
    """It may be the same file as the object in the store."""
    path = own / "results/small/folds/caltech101/folds.json"
    right = path.read_bytes()
    os.link(path, own / "linked")
    shutil.copy(path, own / "spare")
    digest = store_of(own).entry(small_experiment.record(CONFIG, FOLDS)["key"]).files["folds.json"]
    os.replace(own / "linked", store_of(own).object_path(digest))
    path.write_bytes(right.replace(b'"folds": 1', b'"folds": 2'))
    assert TAKEN not in run_folds(capsys)
    assert path.read_bytes() == right


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_a_store_that_cannot_be_written_costs_no_result(own, capsys, monkeypatch, error):
    empty(own)
    shutil.rmtree(own / "results/small/folds")

    def refuse(*_):
        raise error

    monkeypatch.setattr(result_store, "_link", refuse)
    out = run_folds(capsys)
    reason = "its disk is full" if error.errno == 28 else "Permission denied"
    assert f"the result is not stored, {reason}; the run goes on without" in out
    assert artifacts.load_json(own / "results/small/folds/caltech101/folds.json")["folds"] == 1
    assert small_experiment.record(CONFIG, FOLDS)["key"] is None
    assert list(store_of(own).entries()) == []


def test_a_store_that_cannot_be_read_costs_no_result(own, capsys, monkeypatch):
    def refuse(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ResultStore, "take", refuse)
    assert "not used, Input/output error" in run_folds(capsys)


def test_a_record_that_cannot_be_written_costs_no_result(own, capsys, monkeypatch):
    empty(own)
    save = artifacts.save_json
    monkeypatch.setattr(
        stored_stage.artifacts,
        "save_json",
        lambda path, value: full(path) if path.name == ".result.json" else save(path, value),
    )

    def full(path):
        raise OSError(28, "No space left on device", str(path))

    assert ".result.json: not written, its disk is full" in run_folds(capsys)
    assert (own / "results/small/folds/caltech101/folds.json").is_file()


def test_what_changes_while_a_job_computes_is_not_stored(own, capsys, monkeypatch):
    empty(own)
    images = own / "results/small/prepare/caltech101/manifest.json"
    run = folds.run

    def meanwhile(spec, **given):
        run(spec, **given)
        manifest = artifacts.load_json(images)
        artifacts.save_json(images, manifest | {"classes": manifest["classes"][::-1]})

    monkeypatch.setattr(folds, "run", meanwhile)
    parts = job_key.key_parts
    monkeypatch.setattr(
        stored_stage.job_key, "key_parts", lambda stage, module, given, *rest: parts(stage, module, given, *rest)
    )
    stored_stage.run("folds", folds, arguments_of_folds())
    assert "not stored: code or inputs have changed" in capsys.readouterr().out
    assert list(store_of(own).entries()) == []


def test_code_that_was_edited_while_the_process_began_is_not_stored(own, monkeypatch):
    """The process may have imported the old code, and the digest is that of the new."""
    before = code_stamp.at_start()
    monkeypatch.setattr(code_stamp, "now", lambda: (*before, ("core/new.py", 1, 1, 1)))
    run_folds()
    assert small_experiment.record(CONFIG, FOLDS) | {"seconds": 0} == {"key": None, "taken": False, "seconds": 0}


def test_the_stamp_of_the_code_sees_every_edit(tmp_path, monkeypatch):
    (tmp_path / "core").mkdir()
    (tmp_path / "core/nets.py").write_text("x = 1\n")
    monkeypatch.setattr(code_stamp, "ROOT", tmp_path)
    before = code_stamp.now()
    flip(tmp_path / "core/nets.py")  # of the same size and time
    after = code_stamp.now()
    (tmp_path / "core/new.py").write_text("")
    assert len({before, after, code_stamp.now()}) == 3


def arguments_of_folds(**changes):
    results = CONFIG.results()
    given = {label: results / file for label, file in CONFIG.graph.inputs(FOLDS).items()}
    spec = folds.Spec.model_validate_json(CONFIG.slice(FOLDS))
    return {"spec": spec, **given, "out": results / out_of(FOLDS), "device": "auto", "threads": 1, **changes}


@pytest.fixture
def no_device_chosen(monkeypatch):
    """torch finds no GPU, also where there is one."""
    monkeypatch.delenv("ZFREPRO_DEVICE", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


@pytest.mark.usefixtures("no_device_chosen")
def test_what_torch_has_computed_on_another_device_is_not_stored(own, capsys, monkeypatch):
    """The key is worked out without torch, from what the system says of its GPUs."""
    empty(own)
    monkeypatch.setattr(job_key.machine, "gpus", lambda: ["NVIDIA H100"])
    stored_stage.run("folds", folds, arguments_of_folds())
    assert "not stored: torch has not computed on the device" in capsys.readouterr().out
    assert list(store_of(own).entries()) == []


@pytest.fixture
def leases(monkeypatch, no_device_chosen):
    """Devices for which a job has asked for a GPU; it gets number 1."""
    asked = []

    def take(device):
        asked.append(device)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        return True

    for name in ("CUDA_VISIBLE_DEVICES", "ZFREPRO_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(stored_stage.gpu_lease, "take", take)
    return asked


def test_a_job_that_is_in_the_store_needs_no_gpu(own, leases):
    stored_stage.run("folds", folds, arguments_of_folds())
    assert (small_experiment.record(CONFIG, FOLDS)["taken"], leases) == (True, [])
    empty(own)
    stored_stage.run("folds", folds, arguments_of_folds())
    assert (small_experiment.record(CONFIG, FOLDS)["taken"], leases) == (False, ["auto"])


def test_without_a_store_a_job_takes_a_gpu_too(own, leases, monkeypatch):
    monkeypatch.setenv("ZFREPRO_STORE", "none")
    stored_stage.run("folds", folds, arguments_of_folds(device="cpu"))
    assert leases == ["cpu"]


def test_where_gpus_differ_the_store_is_asked_again_for_the_one_that_a_job_has_got(own, leases, monkeypatch):
    monkeypatch.setattr(job_key.machine, "gpus", lambda: ["NVIDIA H100", "Tesla T4"])
    monkeypatch.setattr(job_key, "is_device_right", lambda *_: True)
    for taken in (False, True):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        stored_stage.run("folds", folds, arguments_of_folds())
        assert small_experiment.record(CONFIG, FOLDS)["taken"] == taken
    assert len(leases) == 2


def test_without_a_store_a_stage_just_runs(own, monkeypatch):
    monkeypatch.setenv("ZFREPRO_STORE", "none")
    run_folds()
    assert small_experiment.record(CONFIG, FOLDS) == {}  # that of another job would count for the new files


def test_an_input_that_is_missing_is_the_stage_s_to_explain(own):
    (own / "results/small/prepare/caltech101/manifest.json").unlink()
    with pytest.raises(UserError, match="cannot be read as JSON"):
        run_folds()


def test_weights_without_a_digest_beside_them_have_their_own(own, monkeypatch):
    job, weights = ("evaluate", "improved"), own / "results/small/train/improved/model.safetensors"
    key = small_experiment.record(CONFIG, job)["key"]
    weights.with_name("model.safetensors.sha256").write_text("")
    assert small_experiment.keys(CONFIG).key(job) == key
    monkeypatch.setenv("ZFREPRO_STORE", str(empty_store(own)))
    with pytest.raises(UserError, match="damaged"):
        small_experiment.run(CONFIG, job)
