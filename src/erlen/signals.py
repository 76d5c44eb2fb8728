"""The ten signals that an application sends; the sender is always the application object."""

from __future__ import annotations

from blinker import Namespace

_signals = Namespace()

# sent with: app context pushed / being torn down (exc) / popped
appcontext_pushed = _signals.signal("appcontext-pushed")
appcontext_tearing_down = _signals.signal("appcontext-tearing-down")
appcontext_popped = _signals.signal("appcontext-popped")

# sent with: nothing / response / exc / exception
request_started = _signals.signal("request-started")
request_finished = _signals.signal("request-finished")
request_tearing_down = _signals.signal("request-tearing-down")
got_request_exception = _signals.signal("got-request-exception")

# sent with: template, context
before_render_template = _signals.signal("before-render-template")
template_rendered = _signals.signal("template-rendered")

# sent with: message, category
message_flashed = _signals.signal("message-flashed")
