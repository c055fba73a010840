"""In which precision, on which device, from which seeds an experiment's networks were trained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DEVICES = {"cpu": "a CPU", "cuda": "a GPU"}
MAX_NAMES = 3  # names of networks; of more, the number is printed

Networks = Mapping[str, Mapping[str, Any]]  # run -> network.json, or what the provenance keeps of it


def summarise(networks: Networks, origin: Mapping[str, Any]) -> dict[str, Any] | None:
    """Precisions, devices and seeds without repetition, and all of it as a sentence; None without networks.

    origin: the report's provenance.
    """
    return {**facts(networks), "text": sentence(networks, origin)} if networks else None


def facts(networks: Networks) -> dict[str, list[Any]]:
    """precisions, devices: the most frequent first; seeds: in order."""
    return {
        "precisions": _frequent(network["precision"] for network in networks.values()),
        "devices": _frequent(network["device"] for network in networks.values()),
        "seeds": sorted({network["spec"]["seed"] for network in networks.values()}),
    }


def sentence(networks: Networks, origin: Mapping[str, Any]) -> str:
    """`Trained in bfloat16 on a CPU (AMD EPYC 9B14), PyTorch 2.13.0.`

    Networks trained differently are listed apart. Where network.json does not name the hardware, that of the report is
    printed, as the report's.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for run, network in networks.items():
        groups[_setup(network)].append(run)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    parts = [setup if len(groups) == 1 else f"{setup} ({_name_networks(runs)})" for setup, runs in ordered]
    hardware_known = all(network.get("hardware") for network in networks.values())
    return f"Trained {'; '.join(parts)}.{'' if hardware_known else f' Report made {_report_machine(origin)}.'}"


def _setup(network: Mapping[str, Any]) -> str:
    """`in bfloat16 on a CPU (AMD EPYC 9B14), PyTorch 2.13.0`"""
    device = DEVICES.get(network["device"], network["device"])
    hardware = f" ({network['hardware']})" if network.get("hardware") else ""
    version = f", PyTorch {network['torch']}" if network.get("torch") else ""
    return f"in {network['precision']} on {device}{hardware}{version}"


def _name_networks(runs: Sequence[str]) -> str:
    """`2 networks: improved, wide`"""
    count = f"{len(runs)} network{'s' if len(runs) > 1 else ''}"
    return count if len(runs) > MAX_NAMES else f"{count}: {', '.join(runs)}"


def _report_machine(origin: Mapping[str, Any]) -> str:
    """`on AMD EPYC 9B14 with PyTorch 2.13.0`"""
    hardware, version = origin["hardware"], origin["versions"].get("torch")
    machine = ", ".join([hardware["cpu"], *hardware["gpus"]])
    return f"on {machine}{f' with PyTorch {version}' if version else ''}"


def _frequent(values: Iterable[str]) -> list[str]:
    """Each once, the most frequent first, equal ones by name."""
    listed = list(values)
    return sorted(set(listed), key=lambda value: (-listed.count(value), value))
