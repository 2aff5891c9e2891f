"""Writes through every channel there is: Python, C streams, children, threads."""

import sys, threading, subprocess, os
import tensorflow as tf
print("tty", sys.stdout.isatty(), tf.debugging.get_log_device_placement())
x = tf.ones([3,3])
@tf.function
def g(x):
    tf.print("tfprint", x[0])
    tf.print("to stdout", x[0], output_stream=sys.stdout)
    with tf.device("/CPU:0"):
        y = x * 2
    return x @ y
for i in range(3):
    print("step", i, file=sys.stderr)
    g(x)
    print(float(tf.reduce_sum(x)))
sys.stdout.flush()
subprocess.run(["echo", "child"])
t = threading.Thread(target=lambda: print(tf.reduce_sum(g(x)).numpy()))
t.start(); t.join()
pid = os.fork()
if pid == 0:
    print("forked", flush=True); os._exit(0)
os.waitpid(pid, 0)
tf.print("no newline", end="")
print("end", file=sys.stderr)
