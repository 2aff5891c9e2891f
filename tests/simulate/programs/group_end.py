"""A process group ends while one of its threads still runs Python: prints "ended" as JSON.

Arguments: backend, an empty folder.
"""

import json
import sys
import threading

import torch
import torch.distributed as dist
from torch import multiprocessing

import placeaudit


def first(store):
    """Begin a collective, and end the group while its callback waits for another thread."""
    running, ending, go_on = threading.Event(), threading.Event(), threading.Event()

    def callback(future):
        running.set()
        go_on.wait()
        return future.value()

    def release():
        ending.wait()
        go_on.set()

    threading.Thread(target=release).start()
    work = dist.all_reduce(torch.ones(4, device="cuda:0"), async_op=True)
    chained = work.get_future().then(callback)
    del work
    store.set("attached", "")
    running.wait()
    sys.setswitchinterval(60)  # `release` runs only where the GIL is let go
    ending.set()
    dist.destroy_process_group()
    chained.wait()
    print(json.dumps("ended"))


def second(store):
    store.wait(["attached"])
    dist.all_reduce(torch.ones(4, device="cuda:1"))
    dist.destroy_process_group()


def work(rank, backend, folder):
    torch.cuda.set_device(rank)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group(backend, store=store, rank=rank, world_size=2)
    dist.all_reduce(torch.ones(4, device=f"cuda:{rank}"))  # ranks meet at their first
    (second if rank else first)(dist.FileStore(f"{folder}/own", 2))


if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        multiprocessing.spawn(work, sys.argv[1:], nprocs=2)
