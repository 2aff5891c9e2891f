import torch


class Accuracy:
    def __init__(self, device):
        self.device = device
        self.reset()

    def reset(self):
        self.total = 0
        self.correct = torch.zeros((), device=self.device)

    def update(self, logits, target):
        self.correct += (logits.argmax(-1) == target).sum()
        self.total += target.numel()

    def compute(self):
        return self.correct.item() / self.total  # expect: PA201 info
