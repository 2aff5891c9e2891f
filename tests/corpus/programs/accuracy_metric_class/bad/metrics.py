import torch


class Accuracy:
    def __init__(self, device):
        self.device = device
        self.reset()

    def reset(self):
        self.total = 0
        self.correct = 0

    def update(self, logits, target):
        self.correct += (logits.argmax(-1) == target).sum().item()  # expect: PA201
        self.total += target.numel()

    def compute(self):
        return self.correct / self.total
