"""Files that run inside programs which know nothing of us. Built-in modules only, syntax of Python 3.8.

`launch.py` copies them to a private folder; see docs/decisions/0003-sampler-bootstrap.md. Our own process imports
`core` from here like any module.
"""
