"""Hooks of functions that start from a snapshot.

register_before_snapshot and register_after_restore take a function and its
arguments, or decorate a function. What is to come before the snapshot runs in
the reverse order of registration, what is to come after it in that order.
"""

_before = []
_after = []


def register_before_snapshot(func, *args, **kwargs):
    _before.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    _after.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before


def get_after_restore():
    return _after
