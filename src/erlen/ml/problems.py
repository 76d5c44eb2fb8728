"""Errors of models as answers: problem details (RFC 9457), in one place.

These are for requests; what batchers raise knows nothing of HTTP. An application's own error
handlers for these exceptions come first, as for any exception.
"""

from __future__ import annotations

import math
import typing as t

from ..api.problems import Problem, ValidationProblem
from ..globals import current_app, request
from ..signals import got_request_exception
from .batching.errors import BatcherClosed, DeadlineExceeded, QueueFull

if t.TYPE_CHECKING:
    from ..api.problems import Fault

#: Seconds after which to ask a server again that is being stopped; another one may answer then.
STOPPING_SECONDS = 1


def problem_of(error: BaseException) -> Problem | None:
    """The answer to an error of a batcher; `None` for other errors.

    A full queue is 503 with `Retry-After`, in whole seconds as the measured rate says; a deadline
    that has passed 504; a batcher that is being stopped 503.
    """
    if isinstance(error, QueueFull):
        seconds = max(1, math.ceil(error.retry_after)) if math.isfinite(error.retry_after) else 60
        detail = f"The model has more to do than it can. Try again in {seconds} s."
        return Problem(503, detail, headers={"Retry-After": str(seconds)})
    if isinstance(error, DeadlineExceeded):
        return Problem(504, "The model has not answered in time.")
    if isinstance(error, BatcherClosed):
        headers = {"Retry-After": str(STOPPING_SECONDS)}
        return Problem(503, "The server is being stopped.", headers=headers)
    return None


def bad_item(error: t.Any, location: str) -> ValidationProblem:
    """The answer to a `BadItem`, or to a fault that a kind finds when it is read further.

    :param location: where the inputs were, as in `Fault`
    """
    place: list[str | int] = [location]
    if getattr(error, "field", None) is not None:
        place.append(error.field)
    message = error.message() if callable(error.message) else error.message
    kind = getattr(error, "type", "bad_item")
    fault: Fault = {"location": place, "message": message, "type": kind}
    return ValidationProblem([fault])


def failed(error: Exception, problem: Problem) -> Exception:
    """What to raise for an error of the model's own code that has no other answer.

    It is the error itself where the application handles it, or where errors are to be seen
    (testing and debug mode, `PROPAGATE_EXCEPTIONS`); else it is logged, and the answer is a problem
    that tells nothing of it.
    """
    app: t.Any = current_app._get_current_object()  # type: ignore[attr-defined]
    propagate = app.config["PROPAGATE_EXCEPTIONS"]
    if app.testing or app.debug if propagate is None else propagate:
        return error
    if app._find_error_handler(error, request.blueprints) is not None:
        return error
    got_request_exception.send(app, _async_wrapper=app.ensure_sync, exception=error)
    app.log_exception((type(error), error, error.__traceback__))
    return problem


def too_large(most: int) -> Problem:
    """The answer to a body that is too large, of which no more was read."""
    fault = {"location": ["body"], "message": f"At most {most} bytes", "type": "too_large"}
    return Problem(413, f"The body may have {most} bytes, and has more.", errors=[fault])


def too_many(most: int) -> Problem:
    """The answer to a form of too many fields, of which no more was read."""
    fault = {"location": ["form"], "message": f"At most {most} fields", "type": "too_many"}
    return Problem(413, f"The form may have {most} fields, and has more.", errors=[fault])
