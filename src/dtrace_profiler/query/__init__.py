"""Questions to a profile and their answers, as plain dicts that JSON holds: for scripts, for models, for `stat`.

Each answer is a function of a `Profile` and a `Selection`. Its form is that of `schema.json`; docs/query.md tells it
to people. `VERSION` (answer.py) grows when a field goes or means something else; fields may come without that.
"""
