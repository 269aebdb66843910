"""The program that runs a Python function; see millicent_runtime/loop.py."""

from millicent_runtime import loop

loop.run()
