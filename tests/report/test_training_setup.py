"""The sentence on the report's first page: in which precision, on which device, with which version the networks were trained."""

from __future__ import annotations

from typing import Any

from zfrepro.report import training_setup

ORIGIN = {"hardware": {"cpu": "Abacus", "gpus": []}, "versions": {"torch": "2.13.0"}}


def network(precision: str = "bfloat16", device: str = "cpu", seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"precision": precision, "device": device, "spec": {"seed": seed}, **more}


def test_one_setup_is_one_sentence() -> None:
    machine = {"hardware": "AMD EPYC 9B14", "torch": "2.13.0"}
    networks = {"baseline": network(**machine), "improved": network(seed=1, **machine)}
    assert training_setup.summarise(networks, ORIGIN) == {
        "precisions": ["bfloat16"], "devices": ["cpu"], "seeds": [0, 1],
        "text": "Trained in bfloat16 on a CPU (AMD EPYC 9B14), PyTorch 2.13.0.",
    }  # fmt: skip


def test_the_reports_machine_is_not_taken_for_that_of_the_training() -> None:
    networks = {"improved": network("float32", "cuda", hardware=None, torch=None)}
    expected = "Trained in float32 on a GPU. Report made on Abacus with PyTorch 2.13.0."
    assert training_setup.sentence(networks, ORIGIN) == expected
    with_gpu = {"hardware": {"cpu": "Abacus", "gpus": ["Slide rule"]}, "versions": {}}
    assert training_setup.sentence(networks, with_gpu).endswith(" Report made on Abacus, Slide rule.")


def test_mixed_setups_are_listed_the_most_frequent_first() -> None:
    machine = {"hardware": "Abacus", "torch": "2.13.0"}
    networks = {
        "wide": network("float32", "cuda", hardware="H100", torch="2.12.1"),
        "odd": network("float32", **machine),
    }
    networks |= {name: network(seed=5, **machine) for name in ("a", "b", "c", "d")}
    networks |= {"late": network("float32", **machine)}
    setup = training_setup.summarise(networks, ORIGIN)
    assert setup["text"] == (
        "Trained in bfloat16 on a CPU (Abacus), PyTorch 2.13.0 (4 networks); "
        "in float32 on a CPU (Abacus), PyTorch 2.13.0 (2 networks: odd, late); "
        "in float32 on a GPU (H100), PyTorch 2.12.1 (1 network: wide)."
    )
    assert (setup["precisions"], setup["devices"], setup["seeds"]) == (["bfloat16", "float32"], ["cpu", "cuda"], [0, 5])


def test_without_networks_there_is_nothing_to_say() -> None:
    assert training_setup.summarise({}, ORIGIN) is None


def test_another_kind_of_device_keeps_its_name() -> None:
    assert training_setup.sentence({"a": network(device="xpu", hardware="Loom", torch="3")}, ORIGIN) == (
        "Trained in bfloat16 on xpu (Loom), PyTorch 3."
    )
