"""The computing of one batch, without saying how the function is called or awaited."""

from __future__ import annotations

import copy
import sys
import typing as t

from .errors import BadResults, BatchInterrupted
from .halving import sift
from .items import DONE, GONE, Item, deliver

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from .leading import Leading


def steps(
    batcher: Leading,
    batch: list[Item],
    following: list[Item],
    own: Item | None = None,
) -> Generator[tuple[t.Any, ...], t.Any, None]:
    """Yield arguments for the function, to be sent its results or thrown its error.

    With the results come the seconds for which the function kept its thread busy.

    Each item is delivered as soon as it has an outcome, and all have one at the end.

    :param following: gets the item of the next leader
    :param own: the item of the thread that computes, to which what interrupts it is raised
    """
    group = batch
    trials: Generator[list[Item], bool, None] | None = None
    has_ended = False
    try:
        while True:
            error: Exception | None = None
            busy = 0.0
            begun = batcher._clock()
            try:
                results, busy = yield batcher.collate.join([item.value for item in group])
                results = checked(results, len(group), batcher)
            except Exception as raised:
                error = raised
            now = batcher._clock()
            is_wrong = isinstance(error, BadResults)
            if error is None:
                for item, result in zip(group, results, strict=True):
                    item.result = result
            elif is_wrong or len(group) == 1 or not batcher.pure:
                for item in group:
                    item.error = error if item is group[0] else _copy_of(error)
            # The batch ends before anyone is woken who might give the next item at once.
            is_settled = error is None or group[0].error is not None
            has_ended = trials is None and is_settled
            ended = len(batch) if has_ended else 0
            leader = batcher._note(group, error, now - begun, busy, now, ended)
            if leader is not None:
                following.append(leader)
            if is_settled:
                deliver(group)
                batcher._tell([now - item.since for item in group], error, now - begun)
            del error
            if has_ended:
                return
            if trials is None:
                trials = sift(batch)
                next(trials)
            failed = not is_settled or (len(group) == 1 and group[0].error is not None)
            try:
                group = _still_wanted(trials, trials.send(failed))
            except StopIteration:
                return
    except BaseException as stopped:
        batcher._break_off([item for item in batch if item.state not in (DONE, GONE)], stopped, own)
        raise
    finally:
        if not has_ended:
            leader = batcher._note([], None, 0.0, 0.0, batcher._clock(), len(batch))
            if leader is not None:
                following.append(leader)


def _still_wanted(trials: Generator[list[Item], bool, None], group: list[Item]) -> list[Item]:
    """The group without items that nobody waits for any more; the next one if none is left."""
    while not (wanted := [item for item in group if item.state is not GONE]):
        group = trials.send(False)
    return wanted


def checked(results: t.Any, count: int, batcher: Leading) -> t.Any:
    """The results, if they are as many as the items. Raises BadResults."""
    name = batcher.name
    if isinstance(results, (tuple, dict, str, bytes, set, frozenset)) or not hasattr(
        results, "__len__"
    ):
        hint = (
            " A tuple could be several outputs: return list(zip(*outputs)), one tuple an item."
            if isinstance(results, tuple)
            else ""
        )
        raise BadResults(
            f"{name!r} has to return a list or an array with one result for each item,"
            f" and returned {type(results).__name__}.{hint}",
            batcher.place,
        )
    # Of an array without dimensions `len` raises.
    shape = getattr(results, "shape", None)
    if shape is not None and hasattr(results, "columns"):
        raise BadResults(
            f"{name!r} has returned {type(results).__name__}, which gives columns one by one, not"
            " rows: return a list or an array of the rows.",
            batcher.place,
        )
    found = len(results) if shape is None or len(shape) else 0
    if found != count:
        raise BadResults(
            f"{name!r} was given {_counted(count, 'item')} and returned"
            f" {_counted(found, 'result')}: one for each is needed.",
            batcher.place,
        )
    return results


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less items might have fitted."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    kind = getattr(torch, "OutOfMemoryError", None)
    return kind is not None and isinstance(error, kind)


def _copy_of(error: Exception) -> Exception:
    """Another error of the same kind, for another waiter: raising adds to an error's traceback."""
    try:
        other = copy.copy(error)
    except Exception:
        other = error  # it cannot be copied: then all get the same
    if type(other) is not type(error):
        return error
    if other is not error:
        other.__cause__, other.__suppress_context__ = error.__cause__, error.__suppress_context__
        other.__traceback__ = error.__traceback__
    return other


def interrupted(by: BaseException) -> BatchInterrupted:
    """What the items of a batch get that was broken off."""
    error = BatchInterrupted(f"The batch was broken off by {type(by).__name__}.")
    error.__cause__ = by
    return error
