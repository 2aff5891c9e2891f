import torch


class Histogram:
    def __init__(self):
        self.counts = torch.zeros(8)

    def after_backward(self, grad):
        host = grad.cpu()
        self.counts += torch.histc(host, 8) + host.abs().sum()

    def result(self):
        return self.counts.mean().item()


class Snapshot:
    def __init__(self):
        self.last = []

    def after_backward(self, grad):
        self.last.append(grad.to("cpu"))

    def result(self):
        return torch.stack(self.last).sum().item()
