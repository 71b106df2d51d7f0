"""Importing this gives the whole process the lowest priority.

For the process from which candidates' processes are forked; the server itself must never import it.
"""

from faceserve.machine import priority

priority.lower()
