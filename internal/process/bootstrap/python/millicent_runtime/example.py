"""A function that a stem warms up with."""


def handler(event, context):
    return event
