"""The best one-to-one assignment of rows to columns of a table of gains."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf


def best_assignment(gains: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Pairs (row, column), each row and column at most once, whose gains sum to the most; as many pairs as the shorter side has.

    Shortest augmenting paths with potentials (Jonker and Volgenant 1987), cubic in the longer side.

    Args:
        gains: one or more rows of equal length, which is not 0.
    """
    if len(gains) > len(gains[0]):
        return sorted((row, column) for column, row in best_assignment(list(zip(*gains, strict=True))))
    width = len(gains[0])
    of_rows, of_columns = [0.0] * len(gains), [0.0] * (width + 1)
    owner = [-1] * (width + 1)  # the row that a column belongs to; the last column is where each search begins
    for new in range(len(gains)):
        owner[width], at = new, width
        least, before, done = [inf] * width, [width] * width, [False] * (width + 1)
        while owner[at] >= 0:
            done[at], row = True, owner[at]
            for column in range(width):
                if done[column]:
                    continue
                cost = -gains[row][column] - of_rows[row] - of_columns[column]
                if cost < least[column]:
                    least[column], before[column] = cost, at
            following = min((column for column in range(width) if not done[column]), key=lambda column: least[column])
            step = least[following]
            for column in range(width + 1):
                if done[column]:
                    of_rows[owner[column]] += step
                    of_columns[column] -= step
                elif column < width:
                    least[column] -= step
            at = following
        while at != width:  # along the path that was found, each column passes to the row before it
            owner[at], at = owner[before[at]], before[at]
        owner[width] = -1
    return sorted((row, column) for column, row in enumerate(owner[:width]) if row >= 0)
