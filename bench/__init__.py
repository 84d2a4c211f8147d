"""How fast it is, beside hand-written SQL on the same tables in the same run.

``python -m bench`` measures everything on both engines; ``docs/explanation/performance.md`` says
what the figures mean.
"""
