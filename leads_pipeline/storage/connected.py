"""Connected components of a graph whose nodes are numbers."""

import numpy as np
import numpy.typing as npt


def smallest_connected(nodes: int, one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return for each of the nodes 0, 1, ... the smallest that the edges connect it with, itself included.

    Each round hangs every tree below the smallest tree beside it and flattens the trees, so that even a long chain
    takes few rounds.
    """
    root = np.arange(nodes)
    while one.size:
        one, other = root[one], root[other]
        lower = np.minimum(one, other)
        np.minimum.at(root, one, lower)
        np.minimum.at(root, other, lower)
        while not np.array_equal(root, flatter := root[root]):
            root = flatter
        is_open = root[one] != root[other]
        one, other = one[is_open], other[is_open]
    return root
