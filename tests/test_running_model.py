"""The call stack of another thread is read without waiting for itself."""

import pytest
from fresh_process import start

pytestmark = pytest.mark.numpy_only

DELETED_WHILE_FRAMES_ARE_READ = """
import gc, sys, threading
from keras_balanced_siamese._running_model import _main_stack

class Garbage:
    def __init__(self):
        self.cycle = self

    def __del__(self):
        sys._current_frames()  # needs the lock that Python holds while it reads frames

def read():
    enable()
    _main_stack()

enable = gc.enable
for _ in range(20):  # the frame of each thread is an object that may start a collection
    threading.Thread(target=threading.Event().wait, daemon=True).start()
gc.collect()
gc.disable()
garbage = [Garbage() for _ in range(100)]
gc.collect(0)  # a later collection than the first finds it
del garbage
gc.set_threshold(1, 1, 1000)
thread = threading.Thread(target=read, daemon=True)
thread.start()
thread.join()
print("done")
"""


def test_garbage_is_not_collected_while_frames_are_read():
    process = start("-c", DELETED_WHILE_FRAMES_ARE_READ)
    try:
        assert process.communicate(timeout=60)[0] == "done\n"
    finally:
        process.kill()
