"""Real servers that are killed, stopped, slowed and restarted under load, with a ledger on both sides.

The servers write down what they saw, the clients what they did; `reconcile` compares the two. The scenarios are tests;
`python -m tests.survival --minutes 10 --seed 7` plays random ones for longer.
"""

__all__: list[str] = []
