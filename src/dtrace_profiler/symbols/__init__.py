"""From addresses to frames: which file is mapped there, which function, source line and inlined calls.

`mappings` says what lies where in a process, `native` names an address; the other modules each know one thing that
this takes (ELF tables, debug information, perf maps, demangling, the cache). See docs/decisions/0002-symbols.md.
"""
