"""docs/library.md and the notebook of examples/: their code runs as it stands, from top to bottom, and draws what they show.

The notebook's cells are executed in order in this process, which needs no jupyter.
"""

import json
import re

import pytest
import torch
from helpers.documented_code import LIBRARY, blocks, execute
from helpers.workspace import ROOT
from PIL import Image

NOTEBOOK = ROOT / "examples/explain.ipynb"
PICTURES = re.findall(r"!\[.+\]\((library/.+\.png)\)", LIBRARY.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The names that the document's code defines, and the folder of its pictures."""
    folder = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return execute(LIBRARY), folder


def test_the_document_draws_the_pictures_that_it_shows(library):
    _, folder = library
    assert sorted(f"library/{path.name}" for path in folder.glob("*.png")) == sorted(PICTURES)
    for picture in PICTURES:
        drawn, shown = folder / picture.removeprefix("library/"), ROOT / "docs" / picture
        with Image.open(drawn) as new, Image.open(shown) as old:
            assert new.size == old.size, picture


def test_the_pictures_are_few_bytes():
    kept = list((ROOT / "docs/library").iterdir())
    assert sorted(f"library/{path.name}" for path in kept) == sorted(PICTURES)
    assert sum(path.stat().st_size for path in kept) < 600_000


def test_the_documents_numbers_are_those_of_a_forward_pass(library):
    names, _ = library
    assert names["choice"].layers == ("relu", "layer1.1.relu", "layer2.1.relu", "layer3.1.relu", "layer4.1.relu")
    small, maps, pair = names["small"], names["maps"], torch.stack([names["cat"], names["car"]])
    with torch.no_grad():
        expected = small(pair).softmax(1)
    assert maps.passes == "windows"
    assert maps.uncovered_predicted.tolist() == expected.argmax(1).tolist()
    torch.testing.assert_close(maps.uncovered_probability, expected.amax(1))
    with torch.no_grad():
        right = (small(names["images"]).argmax(1) == names["labels"]).float().mean()
    assert right > 0.5  # of four classes: it has learned something


def test_the_notebook_is_valid_and_holds_no_outputs():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | (
            {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        )
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
    assert len(blocks(NOTEBOOK)) == sum(cell["cell_type"] == "code" for cell in cells)
    validator = pytest.importorskip("nbformat", reason="the schema needs nbformat")
    validator.validate(validator.from_dict(notebook))


def test_the_notebook_explains_one_picture_with_both_networks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = execute(NOTEBOOK)
    text = capsys.readouterr().out
    assert names["covered"]["paper's"].passes == "windows"
    for name, network in names["networks"].items():
        maps = names["covered"][name]
        with torch.no_grad():
            expected = network.model(names["picture"]).softmax(1)[0, 0]
        torch.testing.assert_close(maps.uncovered_probability[0], expected)
        assert maps.probability.shape == (1, 7, 7)
        assert names["projections"][name].pixels.shape == (4, 3, 64, 64)
        assert f"{name}: a square at" in text
    assert not any(tmp_path.iterdir())
