"""The twin of train.py: the device policy names the GPU before the checkpoint is read."""

import argparse

import numpy as np
import torch
from declearn.aggregator import AveragingAggregator
from declearn.model.torch import TorchModel
from declearn.optimizer import Optimizer
from declearn.utils import set_device_policy
from declearn.utils.serialize import msgpack_deserialize, msgpack_serialize


class Client:
    """One site: its data, its copy of the model, its optimizer."""

    def __init__(self, seed, model):
        rng = np.random.default_rng(seed)
        self.inputs = rng.normal(size=(512, 32)).astype("float32")
        self.labels = (self.inputs[:, :1] > seed / 10).astype("float32")
        self.model = model
        modules = ["scaffold-client", ("momentum", {"beta": 0.8})]
        self.optimizer = Optimizer(lrate=0.05, modules=modules)
        self.aggregator = AveragingAggregator()

    def train(self, message, steps):
        """A round: from the server's message to the answer."""
        received = msgpack_deserialize(message)
        self.model.set_weights(received["weights"])
        self.optimizer.process_aux_var(received["aux"])
        for step in range(steps):
            rows = slice(step * 32 % 512, step * 32 % 512 + 32)
            batch = (self.inputs[rows], self.labels[rows], None)
            self.optimizer.run_train_step(self.model, batch)
        change = received["weights"] - self.model.get_weights()
        updates = self.aggregator.prepare_for_sharing(change, steps)
        aux = self.optimizer.collect_aux_var()
        return msgpack_serialize({"updates": updates, "aux": aux})


class Server:
    """Averages what the clients send."""

    def __init__(self, model):
        self.model = model
        modules = ["scaffold-server", ("momentum", {"beta": 0.5})]
        self.optimizer = Optimizer(lrate=1.0, modules=modules)
        self.aggregator = AveragingAggregator()

    def message(self):
        """What the clients start a round from."""
        return msgpack_serialize(
            {"weights": self.model.get_weights(), "aux": self.optimizer.collect_aux_var()}
        )

    def update(self, answers):
        """What the round has brought."""
        first, *others = (msgpack_deserialize(answer) for answer in answers)
        updates, aux = first["updates"], first["aux"]["scaffold"]
        for other in others:
            updates, aux = updates + other["updates"], aux + other["aux"]["scaffold"]
        self.optimizer.process_aux_var({"scaffold": aux})
        gradients = self.aggregator.finalize_updates(updates)
        self.optimizer.apply_gradients(self.model, gradients)


def new_model():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    return TorchModel(net, torch.nn.BCEWithLogitsLoss())


def start():
    server = Server(new_model())
    return server, [Client(seed, new_model()) for seed in (1, 2)]


def rounds(server, clients, count, steps):
    for _ in range(count):
        message = server.message()
        server.update([client.train(message, steps) for client in clients])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=12)
    args = parser.parse_args()

    # A first run, which left a checkpoint.
    set_device_policy(gpu=False)
    server, clients = start()
    rounds(server, clients, 1, args.steps)
    peers = [server, *clients]
    checkpoint = msgpack_serialize([peer.optimizer.get_state() for peer in peers])

    # The run that goes on from it, on the GPU.
    set_device_policy(gpu=torch.cuda.is_available())
    states = msgpack_deserialize(checkpoint)
    server, clients = start()
    for peer, state in zip([server, *clients], states, strict=True):
        peer.optimizer.set_state(state)
    rounds(server, clients, args.rounds, args.steps)
    weights = server.model.get_weights().coefs.values()
    print(f"weights {sum(w.double().abs().sum().item() for w in weights):.4f}")


if __name__ == "__main__":
    main()
