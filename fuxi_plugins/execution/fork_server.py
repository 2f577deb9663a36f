"""What the fork server imports first: it must not end before the runner whose runs it starts.

SIGTERM often goes to all processes of a group or a job at once, and the stop of a run is its runner's to carry out.
Were the server to end, the runner would learn nothing more of its runs. It ends with its runner, whose pipe it watches.
"""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
