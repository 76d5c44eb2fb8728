"""Many requests at once: each gets its own answer, whatever happens to the others."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest

from erlen.ml import Batcher, DeadlineExceeded, QueueFull, batched

REQUESTS = 100_000


class Unlucky:
    """Answers each number with itself, now and then late, or not at all for some numbers."""

    def __init__(self) -> None:
        self.dice = random.Random(5)
        self.pause = threading.Event()

    def __call__(self, items: list[int]) -> list[tuple[str, int]]:
        if self.dice.random() < 0.05:
            self.pause.wait(0.002)
        if any(is_bad(item) for item in items):
            raise ValueError(items)
        return [("answer", item) for item in items]


def is_bad(number: int) -> bool:
    return number % 101 == 0


class Answers:
    """What came of the requests of one client."""

    def __init__(self) -> None:
        self.right = self.wrong = self.late = self.failed = self.refused = 0

    def note(self, number: int, answer: Any) -> None:
        if answer == ("answer", number) and not is_bad(number):
            self.right += 1
        elif isinstance(answer, (DeadlineExceeded, asyncio.CancelledError)):
            self.late += 1
        elif isinstance(answer, ValueError) and answer.args == ([number],) and is_bad(number):
            self.failed += 1
        elif isinstance(answer, QueueFull):
            self.refused += 1
        else:
            self.wrong += 1

    @property
    def all(self) -> int:
        return self.right + self.wrong + self.late + self.failed + self.refused


def by_threads(batcher: Batcher[int, Any], numbers: range, answers: Answers) -> None:
    dice = random.Random(numbers.start)
    for number in numbers:
        deadline = dice.choice((None, None, None, 0.0001, 0.01))
        try:
            answer = batcher.submit(number, deadline)
        except Exception as error:
            answer = error
        answers.note(number, answer)


async def by_tasks(batcher: Batcher[int, Any], numbers: range, answers: Answers) -> None:
    async def client(share: range) -> None:
        dice = random.Random(share.start)
        for number in share:
            deadline = dice.choice((None, None, None, 0.0001, 0.01))
            task = asyncio.ensure_future(batcher.ask(number, deadline))
            if dice.random() < 0.1:
                asyncio.get_running_loop().call_later(dice.random() * 0.001, task.cancel)
            await asyncio.wait([task])
            if task.cancelled():
                answers.note(number, asyncio.CancelledError())
            else:
                answers.note(number, task.exception() or task.result())

    shares = [numbers[start::32] for start in range(32)]
    await asyncio.gather(*map(client, shares))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kinds", ["threads", "loops", "both"])
def test_no_answer_goes_to_another_request(kinds: str) -> None:
    batcher: Batcher[int, Any] = Batcher(Unlucky(), max_queue=1024)
    total = REQUESTS // 2 if kinds != "both" else REQUESTS
    clients = 8
    per_client = total // clients
    answers = [Answers() for _ in range(clients)]
    threads = []
    for client in range(clients):
        numbers = range(client * per_client + 1, (client + 1) * per_client + 1)
        if kinds == "threads" or (kinds == "both" and client < clients - 2):
            thread = threading.Thread(target=by_threads, args=(batcher, numbers, answers[client]))
        else:
            given = by_tasks(batcher, numbers, answers[client])
            thread = threading.Thread(target=asyncio.run, args=(given,))
        threads.append(thread)
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(answer.wrong for answer in answers) == 0
    assert sum(answer.all for answer in answers) == per_client * clients
    assert sum(answer.right for answer in answers) > 0.25 * total
    assert sum(answer.failed for answer in answers) > 0
    assert sum(answer.late for answer in answers) > 0
    stats = batcher.stats()
    assert stats.requests == per_client * clients
    assert batcher.close(timeout=30)
    assert (stats.queued, stats.computing) == (0, 0)


def test_one_in_a_hundred_that_is_bad_fails_alone() -> None:
    batcher: Batcher[int, Any] = Batcher(Unlucky())
    outcomes: list[list[Any]] = [[] for _ in range(32)]

    def client(index: int) -> None:
        for number in range(index * 200 + 1, index * 200 + 201):
            try:
                outcomes[index].append(batcher.submit(number))
            except ValueError as error:
                outcomes[index].append(error)

    threads = [threading.Thread(target=client, args=(index,)) for index in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = sum(isinstance(outcome, ValueError) for its in outcomes for outcome in its)
    assert failed == sum(map(is_bad, range(1, 32 * 200 + 1)))
    assert batcher.stats().mean_size > 1


def test_async_functions_answer_each_request_with_its_own() -> None:
    @batched(max_size=16)
    async def echo(items: list[int]) -> list[int]:
        await asyncio.sleep(0)
        if any(is_bad(item) for item in items):
            raise ValueError(items)
        return list(items)

    async def client(start: int) -> int:
        wrong = 0
        for number in range(start, start + 500):
            try:
                wrong += await echo(number) != number
            except ValueError as error:
                wrong += error.args != ([number],)
        return wrong

    async def main() -> int:
        return sum(await asyncio.gather(*(client(500 * n) for n in range(16))))

    threads_wrong: list[int] = []
    thread = threading.Thread(target=lambda: threads_wrong.append(asyncio.run(main())))
    thread.start()
    assert asyncio.run(main()) == 0
    thread.join()
    assert threads_wrong == [0]
