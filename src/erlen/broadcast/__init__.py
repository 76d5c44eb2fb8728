"""Groups: what is sent to one reaches everybody who listens, in this process or in all of them.

`app.groups["chat"]` is a group. Nothing has to be set up for one process; with `BROADCAST_URL` the
groups of all processes that name the same Redis server are the same. A message reaches those who
listen when it is sent, at most once: nothing is kept for those who come later.
"""

from __future__ import annotations

from .groups import BroadcastError, Group, Groups, SlowSubscriber, Subscription

__all__ = ["BroadcastError", "Group", "Groups", "SlowSubscriber", "Subscription"]
