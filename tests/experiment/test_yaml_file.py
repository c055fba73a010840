"""YAML read strictly: no key twice, no other encoding, and what YAML reads as something else than text is explained."""

import pytest
import yaml

from zfrepro.errors import UserError
from zfrepro.experiment import loading, yaml_file
from zfrepro.spec import Base

TWICE = """\
train:
  runs:
    improved: {seed: 0}
    baseline: {seed: 1}
    improved: {seed: 2}
"""


def fault(text):
    with pytest.raises(UserError) as raised:
        yaml_file.parse(text, "my.yaml")
    return str(raised.value)


def test_a_key_that_stands_twice_is_named_with_its_lines():
    assert fault(TWICE) == "my.yaml, line 5: the key `improved` is there twice, first in line 3; remove or rename one"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key `a` is there twice, first in line 1"),
        ("a: {b: 1, b: 1}\n", "line 1: the key `b` is there twice"),
        ("- 1\n- {a: 1, c: 2, a: 1}\n", "line 2: the key `a` is there twice"),
        ('{"a": 1, "a": 2}', "the key `a` is there twice"),  # JSON
        ("a: 1\n'a': 2\n", "line 2: the key `a` is there twice"),
        ("1: x\n0x1: y\n", "line 2: the key `0x1` is there twice"),
        ("on: x\nyes: y\n", "line 2: the key `yes` is there twice"),
        ("x: &x {a: 1, a: 2}\ny: *x\n", "line 1: the key `a` is there twice"),
        ("a: &a [*a]\n", "line 1: contains itself through an alias"),
        ("a: &a {b: {c: *a}}\n", "line 1: contains itself through an alias"),
        ("[" * 5000, "nested too deeply"),
        ("a: 2024-13-45\n", "write the value in quotes"),
        ("a: !!python/object:os.system x\n", "not valid YAML"),
        ("a: b: c\n", "not valid YAML"),
        ("\ta: b\n", "not valid YAML"),
        ("a: \x07\n", "not valid YAML"),
        ("a: 1\n---\na: 2\n", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(text, expected):
    message = fault(text)
    assert message.startswith("my.yaml")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "base: &b {a: 1, c: 2}\nother: {<<: *b, a: 3}\nthird: {<<: *b, a: 4}\n",  # a merged key may be overridden
        'a: 1\n"1": 2\n1: 3\n',
        "x: &x [1]\ny: *x\nz: *x\n",
        "",
        "a:\n",
    ],
)
def test_what_yaml_allows_is_read_as_before(text):
    assert yaml_file.parse(text, "my.yaml").content == yaml.safe_load(text)


def test_the_text_of_a_value_is_kept():
    document = yaml_file.parse("a:\n  b: [no, 001, x]\n", "my.yaml")
    assert [document.written(("a", "b", i)) for i in range(4)] == ["no", "001", "x", None]
    assert document.written(("a", "c")) is None


def test_encodings_of_a_file(tmp_path):
    path, text = tmp_path / "my.yaml", "title: k\u00e4fer\n"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_bytes(text.encode(encoding))
        assert yaml_file.load(path).content == {"title": "k\u00e4fer"}
    for encoding in ("utf-16", "utf-16-le", "utf-32", "latin-1"):
        path.write_bytes(text.encode(encoding))
        with pytest.raises(UserError, match=r"my\.yaml.*UTF-8"):
            loading.load(path)


def experiment(tmp_path, classes):
    path = tmp_path / "my.yaml"
    options = f"options: {{root: {tmp_path}, classes: {classes}}}"
    path.write_text(f"prepare:\n  source: {{dataset: imagefolder, size: 72, {options}}}\n{REST}")
    return path


REST = """
experiment: mine
title: mine
train: {recipe: {epochs: 1, batch: 8, learning_rate: 0.01, input_size: 64, width: 0.125}, runs: {a: {base: improved}}}
report: {exhibits: [claims]}
"""


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ("[no, cat]", 'classes.0: YAML reads no as the boolean false; write it in quotes, as "no"'),
        ("[cat, 001]", 'classes.1: YAML reads 001 as the number 1; write it in quotes, as "001"'),
        (
            "[2024-01-01]",
            'classes.0: YAML reads 2024-01-01 as the date 2024-01-01; write it in quotes, as "2024-01-01"',
        ),
        ("[12:30]", 'classes.0: YAML reads 12:30 as the number 750; write it in quotes, as "12:30"'),
        ("[1e3, 1.50]", 'classes.1: YAML reads 1.50 as the number 1.5; write it in quotes, as "1.50"'),
        ("[~, cat]", 'classes.0: YAML reads ~ as the value null; write it in quotes, as "~"'),
        ("yes", "classes: a boolean (yes, no, on, off, true, false) is not a number (got True)"),
    ],
)
def test_classes_that_yaml_does_not_read_as_text(tmp_path, classes, expected):
    with pytest.raises(UserError) as raised:
        loading.load(experiment(tmp_path, classes))
    assert f"{tmp_path / 'my.yaml'}: prepare.source.options.{expected}" in str(raised.value)
    assert "constrained" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_two_such_classes_are_two_lines_and_quoted_ones_are_text(tmp_path):
    with pytest.raises(UserError) as raised:
        loading.load(experiment(tmp_path, "[no, 001]"))
    assert [line.split(": ")[-2].split(".")[-1] for line in str(raised.value).splitlines()] == ["0", "1"]
    config = loading.load(experiment(tmp_path, "['no', \"001\"]"))
    assert config.prepare["source"].options["classes"] == ["no", "001"]


def test_keys_and_titles(tmp_path):
    path = experiment(tmp_path, "2")
    text = path.read_text()
    for before, after, expected in (
        ("runs: {a:", "runs: {on:", "train.runs: a key: YAML reads an unquoted yes, on or true as the boolean true"),
        ("title: mine", "title: 2013", 'title: YAML reads 2013 as the number 2013; write it in quotes, as "2013"'),
        (
            "experiment: mine",
            "experiment: off",
            'experiment: YAML reads off as the boolean false; write it in quotes, as "off"',
        ),
        ("title: mine", "title:", "title: there is no value; write one"),
        ("epochs: 1,", "epochs: yes,", "epochs: a boolean (yes, no, on, off, true, false) is not a number (got True)"),
    ):
        path.write_text(text.replace(before, after))
        with pytest.raises(UserError) as raised:
            loading.load(path)
        assert expected in str(raised.value)


class Numbers(Base):
    one: int = 0
    many: tuple[float, ...] = ()
    flag: bool = False


def test_a_boolean_is_no_number_and_a_number_field_may_still_be_a_flag():
    assert Numbers(flag=True, one=1, many=(1, 2.5)).flag is True
    for wrong in ({"one": True}, {"many": [1, True]}):
        with pytest.raises(ValueError, match=r"a boolean .* is not a number"):
            Numbers(**wrong)
