"""Ids of GPUs, as CUDA_VISIBLE_DEVICES takes them."""

from types import SimpleNamespace

import pytest

from zfrepro.models import gpu_list

A, B = (SimpleNamespace(name="H100", uuid=uuid) for uuid in ("5c1c", "77aa"))
SLICES = [SimpleNamespace(name="A100 MIG 1g.5gb", uuid="5c1c")] * 2
AMD = [SimpleNamespace(name="MI300X", uuid="88bb")] * 2


@pytest.mark.parametrize(
    ("properties", "environment", "amd", "ids"),
    [
        ([A, B], {}, False, ["GPU-5c1c", "GPU-77aa"]),
        ([A, B], {"CUDA_VISIBLE_DEVICES": "6,2"}, False, ["GPU-5c1c", "GPU-77aa"]),
        ([A], {"CUDA_VISIBLE_DEVICES": "GPU-5c"}, False, ["GPU-5c1c"]),
        ([SimpleNamespace(name="H100")], {"CUDA_VISIBLE_DEVICES": "6, 2"}, False, ["6"]),
        ([SimpleNamespace(name="H100")] * 2, {}, False, ["0", "1"]),
        (SLICES, {"CUDA_VISIBLE_DEVICES": "MIG-a,MIG-b"}, False, ["MIG-a", "MIG-b"]),
        (SLICES[:1], {}, False, ["0"]),
        (AMD, {"CUDA_VISIBLE_DEVICES": "1,2"}, True, ["1", "2"]),
        (AMD, {"HIP_VISIBLE_DEVICES": "5,4", "CUDA_VISIBLE_DEVICES": "1,2"}, True, ["5", "4"]),
        ([], {}, False, []),
    ],
)
def test_ids_are_the_same_for_all_runs_where_torch_knows_them(properties, environment, amd, ids):
    assert [gpu["id"] for gpu in gpu_list.describe(properties, environment, amd)] == ids
