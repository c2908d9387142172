"""Whether DTrace can be used here, what each missing thing costs, and how to mend it.

Each module looks at one side: the system (a module each), dtrace and the right to run it, a target, and a trial. All
yield `Check`s; nothing here prints, and only `fixes` changes anything.
"""
