"""For all tests: one torch thread, which is faster here and the same everywhere."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    import torch

    torch.set_num_threads(1)
