"""Who waits, who is refused and how large batches become, under a virtual clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf

import pytest
from batching_simulation import Simulation
from hypothesis import given
from hypothesis import strategies as st

from erlen.ml.batching.errors import BatcherClosed, Hopeless, QueueFull
from erlen.ml.batching.estimate import TRIED, Estimate
from erlen.ml.batching.items import Item
from erlen.ml.batching.line import (
    CALL,
    COLD,
    CROWD_SECONDS,
    CROWD_STEP_SECONDS,
    LEAD,
    STEP,
    WAIT,
    Courtesy,
    Line,
)

MILLISECOND = 0.001


def forest(size: int) -> float:
    """Nearly all is overhead of the call."""
    return 0.0035 + 0.00005 * size


def perceptron(size: int) -> float:
    return 0.00018 + 0.0001 * size


def encoder(size: int) -> float:
    """Nearly all is arithmetic."""
    return 0.001 + 0.01 * size


def closed_loop(simulation: Simulation, clients: int, rounds: int, think: float) -> None:
    """Clients that ask anew, a while after each answer."""
    left = dict.fromkeys(range(clients), rounds)

    def answered(item: Item) -> None:
        left[item.value] -= 1
        if left[item.value]:
            simulation.at(simulation.now + think, lambda: simulation.arrive(value=item.value))

    simulation.when_answered = answered
    for client in range(clients):
        simulation.at(0.0, lambda client=client: simulation.arrive(value=client))
    simulation.run()


def poisson(
    simulation: Simulation,
    rate: float,
    seconds: float,
    deadline: float = inf,
    patience: Callable[[], float] = lambda: inf,
) -> int:
    """Arrivals at random times; how many."""
    dice = random.Random(1)
    when, count = 0.0, 0
    while (when := when + dice.expovariate(rate)) < seconds:
        simulation.at(when, lambda: simulation.arrive(deadline, patience(), value="random"))
        count += 1
    simulation.run()
    return count


# How long one waits, and for how many


@pytest.mark.parametrize("run_time", [forest, perceptron, encoder])
def test_a_single_client_never_waits(run_time: Callable[[int], float]) -> None:
    simulation = Simulation(run_time)
    closed_loop(simulation, clients=1, rounds=200, think=0.2 * MILLISECOND)
    assert simulation.latencies() == pytest.approx([run_time(1)] * 200)


@pytest.mark.parametrize("run_time", [forest, perceptron])
@pytest.mark.parametrize(("clients", "size"), [(4, 4), (16, 16), (64, 32)])
def test_batches_hold_all_clients_that_ask_again_at_once(
    run_time: Callable[[int], float], clients: int, size: int
) -> None:
    simulation = Simulation(run_time)
    closed_loop(simulation, clients, rounds=300, think=0.02 * MILLISECOND)
    later = simulation.sizes[len(simulation.sizes) // 4 : -clients]
    assert sum(later) / len(later) > 0.95 * size


@pytest.mark.parametrize("handling", [0.02 * MILLISECOND, 0.08 * MILLISECOND])
def test_batches_hold_most_clients_where_answers_and_questions_keep_a_core_busy(
    handling: float,
) -> None:
    simulation = Simulation(lambda size: 0.0003 + 0.000003 * size, max_size=64)
    busy_until = 0.0
    left = 64 * 100

    def answered(item: Item) -> None:
        nonlocal busy_until, left
        left -= 1
        if left >= 64:
            busy_until = max(busy_until, simulation.now) + handling
            simulation.at(busy_until, simulation.arrive)

    simulation.when_answered = answered
    # A batch runs beside that work here, as one does that leaves the interpreter's lock alone.
    simulation.share = lambda: float(simulation.now < busy_until)
    for client in range(64):
        simulation.at(client * handling, simulation.arrive)
    simulation.run()
    later = simulation.sizes[len(simulation.sizes) // 4 : -2]
    assert sum(later) / len(later) > 40


def test_a_window_ends_when_half_of_the_run_time_has_passed_since_the_last_batch() -> None:
    simulation = Simulation(lambda size: 0.010).measured()
    simulation.at(0.000, lambda: simulation.arrive(value="first"))
    simulation.at(0.001, lambda: simulation.arrive(value="second"))
    simulation.at(0.001, lambda: simulation.arrive(value="third"))
    simulation.run(until=0.025)
    # Three were in flight at 10 ms; the two that were waiting may be joined until 15 ms.
    assert simulation.sizes == [1, 2]
    simulation.run()
    assert [when for _, when in simulation.answered] == pytest.approx([0.010, 0.025, 0.025])


def test_a_window_ends_as_soon_as_all_expected_are_there() -> None:
    simulation = Simulation(lambda size: 0.010).measured()
    for when in (0.0, 0.001, 0.001, 0.012):
        simulation.at(when, simulation.arrive)
    simulation.run()
    assert simulation.sizes == [1, 3]
    assert simulation.answered[-1][1] == pytest.approx(0.022)


def test_nobody_waits_after_a_pause() -> None:
    simulation = Simulation(lambda size: 0.010).measured()
    for when in (0.0, 0.001, 0.001, 0.002, 1.0):
        simulation.at(when, simulation.arrive)
    simulation.run()
    item, when = simulation.answered[-1]
    assert when - item.since == pytest.approx(0.010)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_random_arrivals_below_the_capacity_are_all_answered_soon(load: float) -> None:
    capacity = 32 / forest(32)
    simulation = Simulation(forest)
    count = poisson(simulation, load * capacity, seconds=3.0)
    assert len(simulation.answered) == count
    latencies = simulation.latencies()
    # A batch that is being computed, half of a run time at most, and the own batch.
    assert latencies[len(latencies) // 2] < 2.5 * forest(32)


def test_batches_stay_small_where_they_do_not_pay() -> None:
    simulation = Simulation(encoder)
    closed_loop(simulation, clients=64, rounds=20, think=0.1 * MILLISECOND)
    later = simulation.sizes[len(simulation.sizes) // 4 :]
    assert sum(later) / len(later) < 8
    assert simulation.now < 1.0 * 64 * 20 * encoder(1)


def test_batches_become_smaller_where_large_ones_cost_more() -> None:
    """As padding to the longest text does."""
    simulation = Simulation(lambda size: 0.002 + 0.001 * size * (1 + size / 8))
    closed_loop(simulation, clients=64, rounds=40, think=0.1 * MILLISECOND)
    later = simulation.sizes[len(simulation.sizes) // 2 :]
    assert 2 <= sum(later) / len(later) <= 8


def test_two_workers_compute_two_batches_at_a_time() -> None:
    simulation = Simulation(encoder, workers=2)
    closed_loop(simulation, clients=16, rounds=20, think=0.1 * MILLISECOND)
    assert simulation.now < 0.6 * 16 * 20 * encoder(1)


# Overload


@pytest.mark.parametrize("run_time", [forest, perceptron])
@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_three_times_the_capacity_leaves_most_of_it_to_those_accepted(
    run_time: Callable[[int], float], spread: float
) -> None:
    dice = random.Random(2)
    simulation = Simulation(lambda size: run_time(size) * dice.uniform(1 - spread, 1 + spread))
    capacity = 32 / run_time(32)
    deadline, seconds = 12 * run_time(32), 400 * run_time(32)
    count = poisson(simulation, 3 * capacity, seconds, deadline)
    good = [latency for latency in simulation.latencies() if latency <= deadline]
    assert len(good) >= 0.9 * capacity * seconds
    accepted = simulation.latencies() + [deadline] * len(simulation.late)
    accepted.sort()
    assert accepted[int(0.99 * len(accepted))] <= 2 * deadline
    assert len(simulation.late) < 0.02 * len(accepted)
    assert len(accepted) + simulation.refused == count


@pytest.mark.parametrize(
    ("factor", "share", "lost"), [(1, 0.95, 0.0), (2, 0.95, 0.01), (3, 0.88, 0.035)]
)
def test_spells_in_which_all_takes_longer_leave_most_of_it_too(
    factor: int, share: float, lost: float
) -> None:
    """As on a processor that others use as well, at times."""
    deadline, seconds = 1.0, 120.0
    dice = random.Random(3)

    def text_encoder(size: int) -> float:
        is_slow = simulation.now % 4 >= 3
        return (0.01 + 0.0072 * size) * (factor if is_slow else 1) * dice.uniform(0.9, 1.1)

    simulation = Simulation(text_encoder, max_size=64, max_queue=48)
    capacity = 16 / (0.01 + 0.0072 * 16)
    count = poisson(simulation, 3 * capacity, seconds, deadline)
    good = sum(latency <= deadline for latency in simulation.latencies())
    neither = len(simulation.latencies()) - good + len(simulation.late)
    assert good >= share * capacity * seconds * (3 + 1 / factor) / 4
    assert neither <= lost * count


def test_without_deadlines_the_queue_is_the_limit() -> None:
    simulation = Simulation(forest, max_queue=64).measured()
    capacity = 32 / forest(32)
    poisson(simulation, 3 * capacity, seconds=1.0)
    assert len(simulation.answered) >= 0.9 * capacity
    assert max(simulation.latencies()) < 4 * forest(32)


def test_those_who_leave_take_no_time_from_those_who_stay() -> None:
    dice = random.Random(3)
    capacity = 32 / forest(32)
    # Twice of what could be done; half are gone before long.
    simulation = Simulation(forest)
    poisson(
        simulation,
        2 * capacity,
        seconds=3.0,
        patience=lambda: inf if dice.random() < 0.5 else dice.uniform(0, 0.2 * MILLISECOND),
    )
    assert len(simulation.answered) >= 0.95 * capacity * 3.0


# Refusing


def make_line(max_queue: int = 4, run_time: float = 0.0) -> Line:
    estimate = Estimate(4)
    if run_time:
        for size in (1, 2, 4) * TRIED:
            estimate.note(size, run_time)
    return Line(estimate, max_queue)


def item_at(now: float, deadline: float = inf) -> Item:
    return Item(None, None, now, deadline)


def test_the_first_leads_and_others_wait() -> None:
    line = make_line()
    assert [line.join(item_at(0.0), 0.0) for _ in range(3)] == [LEAD, WAIT, WAIT]


def test_who_makes_the_batch_complete_calls_the_leader() -> None:
    line = make_line(run_time=1.0)
    line.last_end, line.last_in_flight = 0.0, 3
    assert line.join(item_at(0.0), 0.0) == LEAD
    assert line.window(0.0) == pytest.approx(0.5)
    assert [line.join(item_at(0.1), 0.1) for _ in range(2)] == [WAIT, CALL]


def line_after_four(fixed: float, each: float) -> Line:
    """After a batch of four has ended at 0, with somebody who asks again."""
    line = make_line()
    for size in (1, 2, 4):
        line.estimate.note(size, fixed + each * size)
    line.last_end, line.last_in_flight = 0.0, 4
    line.join(item_at(0.0), 0.0)
    return line


@pytest.mark.parametrize(("fixed", "each"), [(1.0, 0.0), (0.8, 0.2), (0.2, 0.8)])
def test_a_window_lasts_half_of_what_one_batch_saves_against_two(fixed: float, each: float) -> None:
    line = line_after_four(fixed, each)
    assert line.window(0.0) == pytest.approx(fixed / 2)
    assert line.window(fixed / 4) == pytest.approx(fixed / 4)
    assert line.window(fixed) == 0.0


def test_there_is_no_window_where_nothing_is_saved() -> None:
    assert line_after_four(0.0, 1.0).window(0.0) == 0.0


def test_a_window_lasts_longer_while_the_process_has_other_work() -> None:
    line = line_after_four(1.0, 0.25)
    assert line.window(0.4, lambda: 1.0) == pytest.approx(0.1)
    assert line.window(0.6, lambda: 0.4) == 0.0
    # As long as a batch of four takes.
    assert line.window(0.6, lambda: 0.6) == pytest.approx(2.0 * STEP)
    assert line.window(1.95, lambda: 0.6) == pytest.approx(0.05)
    assert line.window(2.1, lambda: 1.0) == 0.0


def test_where_there_is_time_for_nothing_else_a_window_lasts_as_long_as_it_brings_items() -> None:
    line = line_after_four(0.0005, 0.0)
    assert line.window(0.0006, lambda: 1.0) == CROWD_STEP_SECONDS
    line.join(item_at(0.001), 0.001)
    assert line.window(0.0010, lambda: 1.0) == CROWD_STEP_SECONDS
    assert line.window(0.0014, lambda: 1.0) == 0.0  # nobody has come
    line.join(item_at(0.0014), 0.0014)
    assert line.window(0.0014, lambda: 1.0) == CROWD_STEP_SECONDS
    assert line.join(item_at(0.0014), 0.0014) == CALL
    assert line.window(0.0014, lambda: 1.0) == 0.0  # all are here


@pytest.mark.parametrize(("now", "share"), [(0.0006, 0.8), (CROWD_SECONDS, 1.0)])
def test_such_a_window_is_neither_where_there_is_time_nor_endless(now: float, share: float) -> None:
    assert line_after_four(0.0005, 0.0).window(now, lambda: share) == 0.0


def test_each_batch_looks_for_those_who_come_anew() -> None:
    line = line_after_four(0.0005, 0.0)
    assert line.window(0.0006, lambda: 1.0) > 0.0
    leader = line.leader
    assert leader is not None
    line.take(leader, 0.0006)
    line.ended(1, 0.0011)
    line.last_in_flight = 4
    line.join(item_at(0.0011), 0.0011)
    assert line.window(0.0017, lambda: 1.0) > 0.0


@pytest.mark.parametrize(("on_loop", "turns"), [(True, 2), (False, 1)])
def test_a_loop_may_turn_once_in_vain_before_a_batch(on_loop: bool, turns: int) -> None:
    line = line_after_four(0.004, 0.0)
    line.courtesy.gain = 1.0
    assert line.gives_way(0.0, on_loop)
    for turn in range(1, turns):
        assert line.gave_way(0.001 * turn, on_loop)
    assert not line.gave_way(0.003, on_loop)
    # One that brings something makes up for it.
    line.courtesy.gain = 1.0
    assert line.gives_way(0.0, on_loop)
    line.join(item_at(0.0), 0.0)
    for turn in range(turns):
        assert line.gave_way(0.001 * turn, on_loop)
    assert not line.gave_way(0.003, on_loop)


@pytest.mark.parametrize("on_loop", [True, False])
def test_turns_that_bring_items_go_on_for_longer_on_a_loop(on_loop: bool) -> None:
    line = line_after_four(0.004, 0.0)
    line.courtesy.gain = 1.0
    assert line.gives_way(0.0, on_loop)
    line.join(item_at(0.0), 0.0)
    assert line.gave_way(0.0045, on_loop) is on_loop
    line.join(item_at(0.0), 0.0)
    assert not line.gave_way(CROWD_SECONDS, on_loop)


def test_turns_of_a_loop_leave_the_time_that_the_batch_takes() -> None:
    line = line_after_four(0.004, 0.0)
    leader = line.leader
    assert leader is not None
    leader.until = 0.01
    assert line.gives_way(0.0, on_loop=True)
    line.join(item_at(0.0), 0.0)
    assert line.gave_way(0.0055, on_loop=True)
    line.join(item_at(0.0), 0.0)
    assert not line.gave_way(0.0065, on_loop=True)


def test_a_window_leaves_the_time_that_the_batch_takes() -> None:
    line = line_after_four(1.0, 0.25)
    leader = line.leader
    assert leader is not None
    leader.until = 2.3
    assert line.window(0.0) == pytest.approx(0.3)
    assert line.window(0.3) == 0.0


def test_a_crowd_is_expected_again_until_its_batch_could_have_ended() -> None:
    line = line_after_four(1.0, 0.25)
    line.note_crowd(4, 0.0)
    leader = line.leader
    assert leader is not None
    # One that is quick is computed by itself, while the others are about to ask.
    line.take(leader, 0.7)
    line.ended(1, 1.9)
    assert line.last_in_flight == 4
    line.last_end = -inf
    assert not line.claim(1.95)
    assert line.claim(2.05)
    line.ended(1, 2.05)
    assert line.last_in_flight == 1


@pytest.mark.parametrize(("pace", "until"), [(0.002, 0.008), (0.0001, 0.001), (1.0, CROWD_SECONDS)])
def test_a_crowd_is_expected_again_until_it_could_have_been_served(
    pace: float, until: float
) -> None:
    line = line_after_four(0.001, 0.0)
    line.pace = pace
    line.note_crowd(4, 0.0)
    assert line.crowd_until == pytest.approx(until)


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    line = make_line(max_queue=4, run_time=2.0)
    first = item_at(0.0)
    line.join(first, 0.0)
    line.take(first, 0.0)
    for _ in range(4):
        line.join(item_at(0.0), 0.0)
    with pytest.raises(QueueFull) as refused:
        line.join(item_at(1.0), 1.0)
    # One second of the batch that runs, and one batch of four.
    assert refused.value.retry_after == pytest.approx(3.0)


def test_a_deadline_that_cannot_be_kept_is_refused_at_once() -> None:
    line = make_line(run_time=2.0)
    first = item_at(0.0)
    line.join(first, 0.0)
    line.take(first, 0.0)
    with pytest.raises(Hopeless):
        line.join(item_at(0.0, deadline=3.0), 0.0)
    assert line.join(item_at(0.0, deadline=6.0), 0.0) == WAIT


@pytest.mark.parametrize("clients", [8, 16])
def test_nobody_is_refused_for_what_cold_batches_took(clients: int) -> None:
    seen = set()

    def run_time(size: int) -> float:
        is_cold = size not in seen
        seen.add(size)
        return 0.4 if is_cold else 0.01 * size

    simulation = Simulation(run_time, max_size=64)
    simulation.when_answered = lambda item: simulation.arrive(deadline=1.0)
    for client in range(clients):
        simulation.at(0.01 * client, lambda: simulation.arrive(deadline=1.0))
    simulation.run(until=20.0)
    assert simulation.refused == 0
    assert len(simulation.answered) > 500


def test_the_pace_is_not_that_of_the_first_batches() -> None:
    line = make_line()
    for batch in range(COLD + 1):
        now = 10.0 * batch
        leader = item_at(now)
        line.join(leader, now)
        line.take(leader, now)
        assert line.pace == 0.0
        line.ended(1, now + (5.0 if batch < COLD else 0.25))
    assert line.pace == 0.25


@pytest.mark.parametrize(("ahead", "wait"), [(0, 0.0), (3, 0.0), (4, 2.0), (7, 2.0), (8, 4.0)])
def test_who_is_in_the_next_batch_waits_for_no_other(ahead: int, wait: float) -> None:
    line = make_line(run_time=1.0)
    line.pace = 0.5
    assert line.wait_behind(ahead, 0.0) == wait
    leader = item_at(0.0)
    line.join(leader, 0.0)
    line.take(leader, 0.0)
    # The rest of the batch that runs, which takes a second.
    assert line.wait_behind(ahead, 0.25) == 0.75 + wait


def test_an_idle_batcher_tries_whatever_the_deadline() -> None:
    line = make_line(run_time=10.0)
    item = item_at(0.0, deadline=0.1)
    assert line.join(item, 0.0) == LEAD
    assert line.take(item, 0.0) == ([item], [])


def test_items_are_not_taken_that_have_waited_and_would_be_late() -> None:
    line = make_line()
    for size in (1, 2, 4, 8):
        line.estimate.note(size, 0.1 * size)
    leader, late, in_time, impatient = (
        item_at(0.0, deadline=1.0),
        item_at(0.0, deadline=1.0),
        item_at(0.0, deadline=1.3),
        item_at(0.79, deadline=0.3),
    )
    for item in (leader, late, in_time, impatient):
        line.waiting[item] = None
    line.leader = leader
    # A batch of four takes 0.4 seconds, one item a tenth. The leader is given a try, and so is
    # what has not waited for long.
    assert line.take(leader, 0.8) == ([leader, in_time, impatient], [late])


def test_an_item_that_would_be_late_alone_is_not_taken() -> None:
    line = make_line(run_time=0.4)
    leader, late = item_at(0.0), item_at(0.0, deadline=1.0)
    for item in (leader, late):
        line.join(item, 0.0)
    assert line.take(leader, 0.65) == ([leader], [late])


def test_items_whose_time_is_over_are_not_taken() -> None:
    line = make_line()
    leader, late, patient = item_at(0.0), item_at(0.0, deadline=1.0), item_at(0.0, deadline=9.0)
    for item in (leader, late, patient):
        line.join(item, 0.0)
    line.estimate.note(4, 0.1)
    assert line.take(leader, 1.5) == ([leader, patient], [late])


def test_a_closed_line_takes_nobody() -> None:
    line = make_line()
    line.closed = True
    with pytest.raises(BatcherClosed):
        line.join(item_at(0.0), 0.0)


def test_the_longest_waiting_is_next_when_the_leader_leaves() -> None:
    line = make_line()
    leader, second, third = (item_at(0.0) for _ in range(3))
    for item in (leader, second, third):
        line.join(item, 0.0)
    assert line.leave(leader)
    assert line.appoint() is second
    assert not line.leave(third)
    assert line.take(second, 0.0) == ([second], [])


def test_what_was_broken_off_waits_before_all_others() -> None:
    line = make_line()
    line.estimate.note(2, 0.1)
    first, second, third = (item_at(0.0) for _ in range(3))
    line.join(first, 0.0)
    line.join(second, 0.0)
    batch, _ = line.take(first, 0.0)
    line.join(third, 0.0)
    line.put_back(batch)
    line.ended(2, 0.1)
    assert list(line.waiting) == [first, second, third]
    assert line.appoint() is first


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=40))
def test_only_items_of_one_key_meet_and_keep_their_order(keys: list[str]) -> None:
    line = Line(Estimate(4), max_queue=100)
    for size in (1, 2, 4):
        line.estimate.note(size, 1.0)
    items = [Item(number, key, 0.0) for number, key in enumerate(keys)]
    for item in items:
        line.join(item, 0.0)
    taken: list[Item] = []
    leader = line.leader
    while leader is not None:
        batch, late = line.take(leader, 0.0)
        assert batch[0] is leader is min((i for i in items if i not in taken), key=items.index)
        assert {item.key for item in batch} == {leader.key}
        assert len(batch) <= 4
        assert not late
        taken += batch
        line.ended(len(batch), 0.0)
        leader = line.appoint()
    for key in "ab":
        expected = [item for item in items if item.key == key]
        assert [item for item in taken if item.key == key] == expected


def tries(courtesy: Courtesy, occasions: int) -> int:
    """How often one gives way, in vain."""
    count = 0
    for _ in range(occasions):
        if courtesy.is_due():
            count += 1
            courtesy.note(0)
    return count


def test_giving_way_is_tried_now_and_then_and_kept_where_it_pays() -> None:
    courtesy = Courtesy()
    assert tries(courtesy, 168) == 11
    for _ in range(2):
        courtesy.note(3)
    assert courtesy.is_due()
    assert 0 < tries(courtesy, 8) < 8
    assert tries(courtesy, 160) == 10


@pytest.mark.parametrize(("on_loop", "expected"), [(True, 3), (False, 0)])
def test_of_one_client_few_items_wait_for_others(on_loop: bool, expected: int) -> None:
    line = make_line(run_time=1.0)
    waited = 0
    for now in range(0, 3 * Courtesy.TRY_IDLE_EVERY * 10, 10):
        if line.claim(now, on_loop):
            line.ended(1, now + 1)
        else:
            waited += 1
            line.courtesy.note(0)
    assert waited == expected


def test_nobody_begins_alone_where_there_are_others() -> None:
    line = make_line(run_time=1.0)
    assert line.claim(0.0)
    assert not line.claim(0.0)
    assert line.join(item_at(0.5), 0.5) == WAIT
    line.ended(1, 1.0)
    assert not line.claim(1.0)
    leader = line.appoint()
    assert leader is not None
    assert not line.claim(1.0)
    line.take(leader, 1.0)
    line.ended(1, 2.0)
    assert line.claim(2.0)


def test_nobody_begins_alone_in_a_window() -> None:
    line = make_line(run_time=1.0)
    line.last_end, line.last_in_flight = 0.0, 2
    assert not line.claim(0.4)
    assert line.claim(0.6)
