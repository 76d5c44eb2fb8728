"""Which items are to blame, how long a batch takes, and how items are put together."""

from __future__ import annotations

import math
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from erlen.errors import SetupError
from erlen.ml.batching import Stats, bucket, pad
from erlen.ml.batching.collate import collate_for
from erlen.ml.batching.estimate import EXPLORE_EVERY, TRIED, Estimate
from erlen.ml.batching.halving import sift
from erlen.ml.batching.stats import BOUNDS, Tally
from erlen.ml.batching.work import Work

numpy = pytest.importorskip("numpy")


# Work


def test_the_work_of_a_process_is_what_it_computed_since_the_last_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = iter([(0.0, 5.0), (1.0, 5.6), (2.0, 6.0), (2.0, 6.0), (4.0, 8.0)])
    monkeypatch.setattr(Work, "now", staticmethod(lambda: next(looks)))
    work = Work()
    assert [work.share() for _ in range(4)] == pytest.approx([0.6, 0.4, 0.0, 1.0])


# Culprits


def try_all(items: list[int], culprits: set[int]) -> tuple[set[int], set[int], int]:
    """What has succeeded, what has failed alone, and after how many tries."""
    succeeded: set[int] = set()
    blamed: set[int] = set()
    tries = 0
    trials = sift(items)
    group = next(trials)
    while True:
        tries += 1
        failed = not culprits.isdisjoint(group)
        if not failed:
            assert succeeded.isdisjoint(group)
            succeeded |= set(group)
        elif len(group) == 1:
            blamed |= set(group)
        try:
            group = trials.send(failed)
        except StopIteration:
            return succeeded, blamed, tries


@given(st.integers(1, 70), st.data())
def test_only_culprits_fail_and_all_others_succeed_once(count: int, data: st.DataObject) -> None:
    items = list(range(count))
    culprits = data.draw(st.sets(st.sampled_from(items)))
    succeeded, blamed, tries = try_all(items, culprits)
    assert blamed == culprits
    assert succeeded == set(items) - culprits
    assert tries <= 2 * count + math.ceil(math.log2(count)) + 1


@given(st.integers(1, 128), st.data())
def test_one_culprit_costs_a_search_by_halves(count: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(0, count - 1))
    _, _, tries = try_all(list(range(count)), {culprit})
    assert tries <= math.ceil(math.log2(count)) + 3


# Estimates


@given(
    st.floats(1e-6, 1.0), st.floats(0.0, 0.1), st.lists(st.integers(1, 32), min_size=1, max_size=80)
)
def test_estimates_are_near_what_was_measured(fixed: float, each: float, sizes: list[int]) -> None:
    estimate = Estimate(32)
    for size in sizes:
        estimate.note(size, fixed + each * size)
    low, high = fixed + each * min(sizes), fixed + each * max(sizes)
    for size in range(min(sizes), max(sizes) + 1):
        # Alike sizes are kept together, up to twice as large as others of their class.
        assert low * 0.999 <= estimate.seconds(size) <= high * 2.001


def test_nothing_is_expected_before_anything_was_measured() -> None:
    estimate = Estimate(32)
    assert (estimate.seconds(5), estimate.best_size(), estimate.is_known) == (0.0, 1, False)


def test_larger_batches_are_tried_step_by_step_while_they_pay() -> None:
    estimate = Estimate(32)
    best = []
    for _ in range(8):
        best.append(size := estimate.best_size())
        estimate.note(size, 0.01)
    assert best == [1, 2, 4, 8, 16, 32, 32, 32]


@pytest.mark.parametrize(
    ("fixed", "each", "best"),
    [(0.0035, 0.0, 32), (0.0, 0.01, 1), (0.001, 0.01, 2)],
    ids=["overhead only", "arithmetic only", "a tenth of overhead"],
)
def test_the_least_size_that_costs_little_more_than_the_best_is_chosen(
    fixed: float, each: float, best: int
) -> None:
    estimate = Estimate(32)
    for size in (1, 2, 4, 8, 16, 32) * (TRIED + 1):  # after 16 batches, another size is tried
        estimate.note(size, fixed + each * size)
    assert estimate.best_size() == best


@pytest.mark.parametrize(
    ("fixed", "each", "deadline", "best"),
    [
        (0.004, 0.01, inf, 8),
        (0.004, 0.01, 1.0, 4),
        (0.004, 0.01, 0.1, 2),
        (0.004, 0.01, 0.0, 1),
        (0.03, 0.0, inf, 32),
        (0.03, 0.0, 0.1, 32),
        (0.03, 0.0, 0.0, 32),
        (0.03, 0.001, 0.05, 32),
    ],
)
def test_where_much_of_the_deadline_goes_by_smaller_batches_are_good_enough(
    fixed: float, each: float, deadline: float, best: int
) -> None:
    estimate = Estimate(32)
    for size in (1, 2, 4, 8, 16, 32) * (TRIED + 1):
        estimate.note(size, fixed + each * size)
    without = estimate.best_size()
    assert estimate.best_size(deadline) == best
    # Whoever else asks gets their own answer, and so does this one after the next batch.
    assert estimate.best_size() == without
    assert estimate.best_size(deadline) == best
    for _ in range(4 * TRIED):
        estimate.note(1, 1e-6)
    assert estimate.best_size(deadline) == 1


@pytest.mark.parametrize(
    ("fixed", "each", "deadline", "largest"),
    [
        (0.01, 0.0072, inf, 32),
        (0.01, 0.0072, 1.0, 16),
        (0.01, 0.0072, 0.3, 8),
        (0.06, 0.01, 1.0, 16),
        (0.06, 0.01, inf, 64),
        (0.03, 0.0001, 0.1, 64),
        (0.03, 0.0001, 0.02, 64),
    ],
)
def test_sizes_that_last_too_long_for_the_deadline_are_not_even_tried(
    fixed: float, each: float, deadline: float, largest: int
) -> None:
    estimate = Estimate(64)
    sizes = set()
    for _ in range(EXPLORE_EVERY * 4):
        sizes.add(size := estimate.best_size(deadline))
        estimate.note(size, fixed + each * size)
    assert max(sizes) == largest


def test_a_first_call_that_took_long_is_forgotten_soon() -> None:
    estimate = Estimate(32)
    estimate.note(1, 5.0)
    for _ in range(2):
        estimate.note(1, 0.01)
    assert estimate.seconds(1) == 0.01


def test_a_size_takes_no_longer_than_a_larger_one_that_was_measured_later() -> None:
    estimate = Estimate(32)
    estimate.note(1, 5.0)
    estimate.note(3, 0.03)
    estimate.note(32, 0.2)
    assert (estimate.seconds(1), estimate.seconds(2), estimate.seconds(3)) == (0.03, 0.03, 0.03)
    assert (estimate.fastest(1), estimate.fastest_of_one) == (0.03, 0.03)
    assert 0.03 < estimate.seconds(8) < 0.2
    assert 0 < estimate.saved(1, 3) < 0.03


def test_of_a_size_that_was_not_measured_nothing_is_proven() -> None:
    estimate = Estimate(32)
    for _ in range(TRIED):
        assert (estimate.proven(1), estimate.proven(4)) == (0.0, 0.0)
        estimate.note(4, 0.1)
    assert (estimate.proven(1), estimate.proven(4), estimate.proven(5)) == (0.1, 0.1, 0.0)
    assert estimate.fastest(8) == pytest.approx(0.2)


def test_a_run_that_was_held_up_says_nothing() -> None:
    estimate = Estimate(1)
    for seconds in (0.01, 0.01, 0.5, 0.01, 0.01, 0.4):
        estimate.note(1, seconds)
    assert (estimate.seconds(1), estimate.fastest(1)) == (0.01, 0.01)


@pytest.mark.parametrize(
    ("share", "best"), [(1.0, 32), (0.5, 1)], ids=["it computes", "it waits for others"]
)
def test_what_interrupts_long_runs_does_not_make_a_busy_function_dear(
    share: float, best: int
) -> None:
    estimate = Estimate(32)
    estimate.note(1, 0.001, 0.001 * share)
    for size in (2, 4, 8, 16, 32):
        for _ in range(11):
            alone = 0.001 + 0.0001 * size
            estimate.note(size, alone + 0.001 * size, alone * share)
    assert estimate.best_size() == best


def test_other_sizes_are_tried_at_times() -> None:
    estimate = Estimate(32)
    for size in (1, 2, 4, 8, 16, 32) * (TRIED + 1):
        estimate.note(size, 0.001 * size)
    sizes = []
    for _ in range(400):
        sizes.append(size := estimate.best_size())
        estimate.note(size, 0.001 * size)
    assert [size for size in sizes if size > 1] == [*[2] * 3, *[16] * 3] * 2


@pytest.mark.parametrize("seed", range(8))
def test_sizes_that_are_dear_at_first_do_not_keep_batches_small(seed: int) -> None:
    """The first batch of a size is dear in each thread, and whoever leads computes."""
    random = Random(seed)
    estimate = Estimate(64)
    seen = {(size, thread) for size in (1, 2) for thread in range(64)}
    size = 1
    for _ in range(512):
        thread = random.randrange(64)
        seconds = 90e-6 + 25e-6 * size + (0 if (size, thread) in seen else 0.0009)
        seen.add((size, thread))
        estimate.note(size, seconds, seconds)
        size = estimate.best_size()
    assert estimate.best_size() >= 32


def test_a_size_far_from_the_best_is_not_tried_where_it_would_take_long() -> None:
    estimate = Estimate(64)
    sizes = set()
    for _ in range(1024):
        sizes.add(size := estimate.best_size())
        estimate.note(size, 0.02 * size, 0.02 * size)
    assert max(sizes) == 2


def use(estimate: Estimate, batches: int, first_costs: int) -> None:
    """Run batches of a function for which larger ones pay, and the first of a size costs more.

    So do what a library prepares for a shape, and caches that hold another one.
    """
    before = 0
    for _ in range(batches):
        size = estimate.best_size()
        estimate.note(size, 0.001 * size**0.5 * (first_costs if size != before else 1))
        before = size


def test_what_one_batch_saves_against_two() -> None:
    estimate = Estimate(8)
    for size in (1, 2, 4):
        estimate.note(size, 1.0 + 0.25 * size)
    assert estimate.saved(2, 2) == pytest.approx(1.0)
    # A size is tried because it may cost no more than the larger part.
    assert estimate.saved(4, 2) == pytest.approx(1.5)


def test_a_size_is_not_given_up_for_its_first_batch() -> None:
    estimate = Estimate(32)
    use(estimate, 40, first_costs=20)
    assert estimate.best_size() == 32


def test_a_size_that_was_dear_for_other_reasons_is_found_later() -> None:
    estimate = Estimate(32)
    for size in (1, 2, 4, 8, 16, 32) * TRIED:
        estimate.note(size, 0.001 * size)
    use(estimate, EXPLORE_EVERY * 3 * 16, first_costs=3)
    assert estimate.best_size() == 32


def test_a_size_beyond_a_dear_neighbour_is_found() -> None:
    estimate = Estimate(32)
    seconds = {1: 0.001, 2: 0.0012, 3: 0.02, 4: 0.02}
    for _ in range(64 * 12):
        size = estimate.best_size()
        estimate.note(size, seconds.get(size, 0.001 * size**0.5))
    assert estimate.best_size() == 32


def test_a_function_that_computes_is_known_as_one_while_others_interrupt_it() -> None:
    estimate = Estimate(32)
    estimate.note(1, 0.001, 0.001)
    for size in (1, 2, 4, 8, 16, 32) * 50:
        alone = 0.001 + 0.0001 * size
        estimate.note(size, alone + 0.003 * size, alone)
    assert estimate.best_size() == 32


def test_batches_that_did_not_fit_into_memory_are_halved_for_a_while() -> None:
    estimate = Estimate(32)
    for size in (1, 2, 4, 8, 16, 32):
        estimate.note(size, 0.01)
    estimate.note_too_large(32)
    estimate.note_too_large(16)
    assert estimate.best_size() == 8
    for _ in range(1024):
        estimate.note(8, 0.01)
    assert estimate.limit == 16


# Putting together


def test_batches_are_never_larger_than_allowed_once_a_limit_is_forgotten() -> None:
    estimate = Estimate(10)
    estimate.note_too_large(7)
    sizes = set()
    for _ in range(4 * 1024):
        size = estimate.best_size()
        sizes.add(size)
        estimate.note(size, 1e-3)
    assert max(sizes) == 10


def test_a_list_is_the_default() -> None:
    collate = collate_for(None)
    assert collate.prepare("text") == (None, "text")
    assert collate.join(["a", "b"]) == (["a", "b"],)


def test_arrays_are_stacked() -> None:
    collate = collate_for("stack")
    key, first = collate.prepare([1.0, 2.0])
    other_key, second = collate.prepare(numpy.array([3.0, 4.0]))
    assert key == other_key
    (batch,) = collate.join([first, second])
    assert batch.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    "other", [[1.0, 2.0, 3.0], [[1.0], [2.0]], [1, 2]], ids=["longer", "deeper", "integers"]
)
def test_arrays_of_another_shape_or_type_have_another_key(other: object) -> None:
    collate = collate_for("stack")
    assert collate.prepare([1.0, 2.0])[0] != collate.prepare(other)[0]


@pytest.mark.parametrize("item", [[[1], [1, 2]], {"a": 1}, None], ids=["ragged", "dict", "none"])
@pytest.mark.parametrize("collate", ["stack", "pad"])
def test_what_is_no_array_fails_when_it_is_given(item: object, collate: str) -> None:
    with pytest.raises(ValueError):
        collate_for(collate).prepare(item)


def test_tensors_stay_tensors() -> None:
    torch = pytest.importorskip("torch")
    collate = collate_for("stack")
    key, first = collate.prepare(torch.tensor([1.0, 2.0]))
    assert key != collate.prepare(numpy.array([1.0, 2.0], dtype="float32"))[0]
    (batch,) = collate.join([first, torch.tensor([3.0, 4.0])])
    assert isinstance(batch, torch.Tensor)
    assert batch.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_ragged_items_are_padded_to_the_longest() -> None:
    collate = collate_for(pad(-1, lengths=True, multiple_of=4))
    items = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
    padded, lengths = collate.join([collate.prepare(item)[1] for item in items])
    assert padded.tolist() == [
        [1, 2, 3, -1, -1, -1, -1, -1],
        [4, -1, -1, -1, -1, -1, -1, -1],
        [5, 6, 7, 8, 9, -1, -1, -1],
    ]
    assert lengths.tolist() == [3, 1, 5]


def test_ragged_tensors_are_padded_with_tensors() -> None:
    torch = pytest.importorskip("torch")
    collate = collate_for(pad(lengths=True))
    items = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])]
    padded, lengths = collate.join([collate.prepare(item)[1] for item in items])
    assert padded.tolist() == [[[1.0, 2.0], [0.0, 0.0]], [[3.0, 4.0], [5.0, 6.0]]]
    assert (lengths.tolist(), padded.dtype) == ([1, 2], torch.float32)


def test_a_number_cannot_be_padded() -> None:
    with pytest.raises(ValueError, match="sequence"):
        pad().prepare(3)


@pytest.mark.parametrize(
    ("collate", "classes"),
    [
        (bucket(len), [["", "a"], ["ab"], ["abc", "abcd"], ["abcde"]]),
        (bucket(len, 2, 4), [["", "a", "ab"], ["abc", "abcd"], ["abcde"]]),
    ],
    ids=["powers of two", "bounds"],
)
def test_buckets_keep_sizes_apart(collate: object, classes: list[list[str]]) -> None:
    found: dict[object, list[str]] = {}
    for text in ("", "a", "ab", "abc", "abcd", "abcde"):
        key, value = collate_for(collate).prepare(text)  # type: ignore[arg-type]
        found.setdefault(key, []).append(value)
    assert list(found.values()) == classes


def test_buckets_pad_what_they_hold() -> None:
    collate = collate_for(bucket(len, then=pad(lengths=True)))
    prepared = [collate.prepare(item) for item in ([1, 2, 3], [1, 2, 3, 4], [1])]
    assert prepared[0][0] == prepared[1][0] != prepared[2][0]
    padded, lengths = collate.join([prepared[0][1], prepared[1][1]])
    assert (padded.shape, lengths.tolist()) == ((2, 4), [3, 4])


@pytest.mark.parametrize(
    "make",
    [
        lambda: collate_for("stacked"),
        lambda: collate_for(3),  # type: ignore[arg-type]
        lambda: bucket(3),  # type: ignore[arg-type]
        lambda: bucket(len, 4, 2),
        lambda: pad(multiple_of=0),
    ],
    ids=["name", "number", "no function", "descending", "multiple"],
)
def test_wrong_ways_to_collate_are_refused(make: object) -> None:
    with pytest.raises(SetupError):
        make()  # type: ignore[operator]


# Numbers


def test_percentiles_are_read_from_the_histogram() -> None:
    tally = Tally()
    tally.note_answers([0.0006] * 90 + [0.07] * 10)
    stats = tally.snapshot("name", queued=0, computing=0, best_size=1)
    assert 0.0005 < stats.latency(0.5) <= 0.001
    assert 0.05 < stats.latency(0.99) <= 0.1
    assert sum(stats.latency_counts) == stats.answered == 100
    assert len(stats.latency_counts) == len(BOUNDS) + 1


def test_means_and_percentiles_of_nothing_are_zero() -> None:
    stats = Stats("name")
    assert (stats.mean_size, stats.latency(0.5)) == (0.0, 0.0)
