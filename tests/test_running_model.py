"""The call stack of another thread is read without a crash, and without waiting for itself."""

import pytest
from fresh_process import output, start

pytestmark = pytest.mark.numpy_only

DELETED_WHILE_FRAMES_ARE_READ = """
import gc, sys, threading
from keras_balanced_siamese._running_model import _readers_of_main_thread

class Garbage:
    def __init__(self):
        self.cycle = self

    def __del__(self):
        sys._current_frames()  # needs the lock that Python holds while it reads frames

def read():
    enable()
    _readers_of_main_thread()

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


CALLS_END_WHILE_THEY_ARE_READ = """
import gc, sys, threading, time
from keras_balanced_siamese._running_model import is_scoring

def let_others_go_on(phase, info):
    if threading.current_thread() is thread:
        time.sleep(0)

def read():
    for _ in range(2000):
        is_scoring()

class Caller:
    def call(self, depth):
        return depth and self.call(depth - 1)

sys.setswitchinterval(1e-6)
thread = threading.Thread(target=read)
gc.freeze()
gc.callbacks.append(let_others_go_on)
gc.set_threshold(1, 1000, 1000)
thread.start()
while thread.is_alive():
    Caller().call(30)
print("done", gc.isenabled())
"""


def test_calls_of_the_main_thread_may_end_while_they_are_read():
    assert output(start("-c", CALLS_END_WHILE_THEY_ARE_READ)) == "done True\n"
