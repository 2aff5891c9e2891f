# simulate: cuda:2
"""The teacher has a device of its own; its targets bounce off the host as NumPy."""
import torch
import torch.nn.functional as F
from torch import nn

devices = ["cuda:0", "cuda:1"] if torch.cuda.device_count() > 1 else ["cpu", "cpu"]


class Teacher:
    def __init__(self, net, device):
        self.net, self.device = net.to(device).eval(), device

    @torch.no_grad()
    def __call__(self, x):
        return self.net(x.to(self.device)).softmax(-1)


def main():
    torch.manual_seed(60)
    teacher = Teacher(nn.Linear(16, 8), devices[1])
    student = nn.Linear(16, 8).to(devices[0])
    optimizer = torch.optim.SGD(student.parameters(), lr=0.2)
    for x in torch.randn(12, 10, 16):
        soft = teacher(x).to(devices[0])
        loss = F.kl_div(student(x.to(devices[0])).log_softmax(-1), soft, reduction="batchmean")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
