"""Takes half a second to import and holds some 40 MB then, as a function with
large libraries and a model does."""

import random
import time

began = time.perf_counter()
table = {i: str(i) * 8 for i in range(250_000)}
while time.perf_counter() - began < 0.5:
    sum(range(1000))

calls = 0


def handler(event, context):
    global calls
    calls += 1
    return {"n": calls, "rows": len(table), "random": random.random()}
