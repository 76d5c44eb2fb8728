"""The signals that an application sends; the sender is always the application object."""

from __future__ import annotations

import typing as t

from blinker import NamedSignal, Namespace

_signals = Namespace()


class _Audience:
    """Whether anybody ever connected to a signal of a request's life.

    PERF: one question a request for those who use no signals, instead of six.
    """

    def __init__(self) -> None:
        self.ever = False

    def listens(self) -> bool:
        """Whether somebody is connected now."""
        return self.ever and any(signal.receivers for signal in _of_a_life)


audience = _Audience()


class _LifeSignal(NamedSignal):
    """A signal that is sent for each request or context."""

    def connect(self, receiver: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """See `blinker.Signal.connect`."""
        audience.ever = True
        return super().connect(receiver, *args, **kwargs)


def _life(name: str) -> NamedSignal:
    _signals[name] = signal = _LifeSignal(name)
    return signal


# sent with: app context pushed / being torn down (exc) / popped
appcontext_pushed = _life("appcontext-pushed")
appcontext_tearing_down = _life("appcontext-tearing-down")
appcontext_popped = _life("appcontext-popped")

# sent with: nothing / response / exc / exception
request_started = _life("request-started")
request_finished = _life("request-finished")
request_tearing_down = _life("request-tearing-down")
got_request_exception = _signals.signal("got-request-exception")

# sent with: nothing / response / exc / exception
websocket_started = _signals.signal("websocket-started")
websocket_finished = _signals.signal("websocket-finished")
websocket_tearing_down = _signals.signal("websocket-tearing-down")
got_websocket_exception = _signals.signal("got-websocket-exception")

# sent with: template, context
before_render_template = _signals.signal("before-render-template")
template_rendered = _signals.signal("template-rendered")

# sent with: message, category
message_flashed = _signals.signal("message-flashed")

_of_a_life = (
    appcontext_pushed,
    appcontext_tearing_down,
    appcontext_popped,
    request_started,
    request_finished,
    request_tearing_down,
)
