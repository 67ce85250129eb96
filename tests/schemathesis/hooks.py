"""What Schemathesis must not generate: requests that wait on purpose, for longer than a test may."""

import schemathesis

WAITS = ("wait", "wait_seconds")


@schemathesis.hook
def map_query(context, query):
    return without_waits(query)


@schemathesis.hook
def map_body(context, body):
    return without_waits(body)


def without_waits(values):
    if not isinstance(values, dict):
        return values
    return {name: value for name, value in values.items() if name not in WAITS}
