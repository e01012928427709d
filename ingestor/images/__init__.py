"""Images, made fit in processes of their own.

`workers` has those processes, and the pool of them in the daemon, which never touches a pixel. A worker goes through
`normalise`, whose steps are the modules beside it. They use `kinds` (what is in a file) and `pixels` (what is in a
picture), and of the program nothing but `policy`, `errors`, `disk`, `ports` and `model`.

The pool is imported from its own module: what it needs of asyncio would be a tenth of a worker's memory.
"""
