"""Importing this gives the whole process the lowest priority.

It is meant for the process that candidates' processes are forked from; the server must never import it.
"""

from faceserve.machine import priority

priority.lower()
