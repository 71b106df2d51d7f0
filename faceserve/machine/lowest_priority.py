"""Importing this gives the whole process the lowest priority.

For the process that candidates' processes are forked from, and these; the server must never import it.
"""

from faceserve.machine import priority

priority.lower()
