"""The same endpoint, once per system: ``{"input": item}`` is answered ``{"output": result}``.

The environment says which model is served (``BENCHMARK_MODEL``), and where models were saved
(``BENCHMARK_MODELS``). Each application is what the documentation of its framework shows.
"""
