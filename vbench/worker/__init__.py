"""The other house: what runs inside the engine's interpreter.

Only the standard library and the engine may be imported here, in Python 3.8 syntax, because the interpreter is
whichever one holds the engine. The parent never imports this package; it starts `__main__.py` by path and talks JSON
(docs/architecture.md, "The two houses").
"""
