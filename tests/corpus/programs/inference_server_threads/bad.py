"""Two serving threads, each with prompts in a queue; the bias table is uploaded per request."""
import queue
import threading

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Server:
    def __init__(self, model, bias):
        self.model, self.bias = model.eval(), bias
        self.requests, self.answers = queue.Queue(), {}

    def work(self):
        while (item := self.requests.get()) is not None:
            number, x = item
            with torch.inference_mode():
                out = self.model(x.to(device)) + self.bias.to(device)  # expect: PA102
            self.answers[number] = out.sum()

    def serve(self, batch):
        threads = [threading.Thread(target=self.work) for _ in range(2)]
        for t in threads:
            t.start()
        for item in enumerate(batch):
            self.requests.put(item)
        for _ in threads:
            self.requests.put(None)
        for t in threads:
            t.join()
        return torch.stack([self.answers[i] for i in range(len(batch))])


torch.manual_seed(121)
server = Server(nn.Linear(8, 24).to(device), torch.randn(24))
print(f"{server.serve(list(torch.randn(24, 2, 8))).sum().item():.4f}")
