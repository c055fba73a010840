"""Streaming search for the strongest activations equals sorting everything at once."""

import torch
from torch import nn

from zfrepro.core.top_activations import EMPTY, TopActivations, find_top_activations


def full_sort(maps, top):
    """Per map: (value, picture, row, column), by value then by lower picture."""
    best = []
    for channel in range(maps.shape[1]):
        entries = []
        for picture in range(maps.shape[0]):
            flat = maps[picture, channel].flatten().tolist()
            place = flat.index(max(flat))
            entries.append((-max(flat), picture, place // maps.shape[3], place % maps.shape[3]))
        best.append([(-value, *rest) for value, *rest in sorted(entries)[:top]])
    return best


def stream(maps, top, cuts):
    strongest = TopActivations(maps.shape[1], top, dtype=maps.dtype)
    for start, end in cuts:
        strongest.update(maps[start:end], start)
    return strongest


def as_lists(strongest):
    return [
        [(v, p, *yx) for v, p, yx in zip(*row, strict=True)]
        for row in zip(strongest.values.tolist(), strongest.images.tolist(), strongest.positions.tolist(), strict=True)
    ]


def test_equals_a_full_sort_with_many_ties():
    maps = torch.randint(0, 6, (50, 7, 4, 3), generator=torch.Generator().manual_seed(0)).double()
    expected = full_sort(maps, 9)
    assert as_lists(stream(maps, 9, [(0, 50)])) == expected
    assert as_lists(stream(maps, 9, [(i, i + 1) for i in range(50)])) == expected
    assert as_lists(stream(maps, 9, [(30, 50), (0, 4), (4, 30)])) == expected  # in any order of batches


def test_fewer_pictures_than_ranks_leaves_empty_ranks():
    strongest = stream(torch.rand(2, 3, 2, 2), 4, [(0, 2)])
    assert (strongest.images[:, 2:] == EMPTY).all()
    assert (strongest.values[:, 2:] == -torch.inf).all()
    assert (strongest.images[:, :2] < 2).all()


def test_find_watches_several_layers_in_one_pass():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.ReLU())
    pictures = torch.rand(10, 3, 8, 8)
    batches = [(slice(i, i + 3), pictures[i : i + 3]) for i in range(0, 10, 3)]
    top = find_top_activations(net, batches, {"1": 1, "3": 2}, 3)
    for layer, end in ((1, 2), (2, 4)):
        values, order = net[:end](pictures).flatten(2).amax(2).T.sort(dim=1, descending=True)
        torch.testing.assert_close(top[layer].values, values[:, :3])
        assert torch.equal(top[layer].images, order[:, :3])
        assert not top[layer].values.requires_grad
